// gpt2edge suggest: next words.
#include <cstdio>

#include "program/arguments.h"
#include "program/program.h"

namespace gpt2edge::program {

int suggest(const std::vector<std::string>& words) {
  std::string path;
  int32_t k = 3, n_threads = 0;
  Arguments arguments(
      "suggest TEXT -m MODEL [OPTIONS]",
      "Prints the most probable next words of a text, each with its probability and\n"
      "what the text lacks of it; completes a word that is begun.",
      "  gpt2edge suggest \"How is the wea\" -m gpt2.gguf\n");
  arguments.text("-m, --model", path, "The model: a GGUF file.");
  arguments.number("-k", k, "How many words.");
  arguments.number("-t, --threads", n_threads, "Threads that compute; 0: one per core.");
  const auto parsed = arguments.parse(words, 1);
  if (parsed.is_help) return 0;
  if (parsed.words.empty()) throw UsageError("give a text");
  if (k < 1) throw UsageError("-k is " + std::to_string(k) + "; give 1 or more");

  const std::string text = text_or_stdin(parsed.words.front());
  gpt2edge_suggester* suggester = nullptr;
  checked(gpt2edge_suggester_open(open_model(path, n_threads, 0), &suggester));
  const gpt2edge_word* found = nullptr;
  size_t n = 0;
  checked(
      gpt2edge_suggest(suggester, text.data(), text.size(), static_cast<size_t>(k), &found, &n));
  for (size_t i = 0; i < n; ++i) {
    std::printf("%6.2f%%  %s\t%s\n", 100 * found[i].probability, found[i].word,
                found[i].completion);
  }
  return 0;
}

}  // namespace gpt2edge::program
