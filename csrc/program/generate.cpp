// gpt2edge generate: text after a prompt.
#include <cstdio>

#include "program/arguments.h"
#include "program/program.h"

namespace gpt2edge::program {
namespace {

struct Given {
  std::string model, draft_model, overflow = "stop";
  std::vector<std::string> stop;
  int32_t n_threads = 0, n_ctx = 0;
  gpt2edge_text_options options;
};

void add_options(Arguments& arguments, Given& given) {
  gpt2edge_text_options& o = given.options;
  arguments.text("-m, --model", given.model, "The model: a GGUF file.");
  arguments.number("-n, --max-tokens", o.max_tokens,
                   "The most tokens to add; -1: until the context is full.");
  arguments.texts("--stop", given.stop, "A text that ends the text; may be given again.");
  arguments.seed("-s, --seed", o.seed, o.has_seed,
                 "The same seed gives the same text on every machine.");
  arguments.number("--temp, --temperature", o.temperature,
                   "Divides the logits; 0 always takes the most likely token.");
  arguments.number("--top-k", o.top_k, "Keep the k most likely tokens; 0 keeps all.");
  arguments.number("--top-p", o.top_p, "Keep the fewest most likely that hold this share.");
  arguments.number("--min-p", o.min_p, "Keep those this likely, relative to the likeliest.");
  arguments.number("--repetition-penalty", o.repetition_penalty,
                   "Above 1 makes tokens of the text less likely.");
  arguments.number("--frequency-penalty", o.frequency_penalty,
                   "Subtracted for each time a token was generated.");
  arguments.number("--presence-penalty", o.presence_penalty,
                   "Subtracted from each token that was generated.");
  arguments.number("--min-tokens", o.min_tokens, "The text does not end before so many tokens.");
  arguments.number("--max-time", o.max_time, "Seconds after which the text ends.");
  arguments.flag("--ignore-eos", o.ignore_eos, "Go on after an end-of-text token.");
  arguments.text("--context-overflow", given.overflow,
                 "When the context is full: stop, error or slide.");
  arguments.number("--keep", o.keep, "First tokens that stay when it slides; -1: the prompt.");
  arguments.flag("--prompt-lookup", o.prompt_lookup,
                 "Draft what came after the same tokens before.");
  arguments.text("-md, --draft-model", given.draft_model, "A smaller model that drafts tokens.");
  arguments.number("-t, --threads", given.n_threads, "Threads that compute; 0: one per core.");
  arguments.number("-c, --ctx-size", given.n_ctx,
                   "Tokens of the context; 0: as many as the model has.");
}

int32_t overflow_of(const std::string& name) {
  if (name == "stop") return GPT2EDGE_OVERFLOW_STOP;
  if (name == "error") return GPT2EDGE_OVERFLOW_ERROR;
  if (name == "slide") return GPT2EDGE_OVERFLOW_SLIDE;
  throw UsageError("--context-overflow is " + name + "; give stop, error or slide");
}

}  // namespace

int generate(const std::vector<std::string>& words) {
  Given given;
  checked(gpt2edge_text_options_init(&given.options, sizeof given.options));
  Arguments arguments("generate [PROMPT] -m MODEL [OPTIONS]",
                      "Writes text after a prompt; \"-\" reads it from standard input.",
                      "  gpt2edge generate \"Once upon a time\" -m gpt2.gguf\n"
                      "  gpt2edge generate - -m gpt2.gguf -n -1 --seed 1 < prompt.txt\n");
  add_options(arguments, given);
  const auto parsed = arguments.parse(words, 1);
  if (parsed.is_help) return 0;

  gpt2edge_text_options& options = given.options;
  std::vector<const char*> stops;
  for (const std::string& stop : given.stop) stops.push_back(stop.c_str());
  options.stop = stops.data();
  options.n_stop = stops.size();
  options.context_overflow = overflow_of(given.overflow);
  const std::string prompt = parsed.words.empty() ? "" : text_or_stdin(parsed.words.front());
  gpt2edge_model* const model = open_model(given.model, given.n_threads, given.n_ctx);
  if (!given.draft_model.empty()) {
    options.draft_model = open_model(given.draft_model, given.n_threads, given.n_ctx);
  }
  gpt2edge_text* text = nullptr;
  checked(gpt2edge_text_open(model, prompt.data(), prompt.size(), &options, &text));
  write(prompt.data(), prompt.size());
  gpt2edge_piece piece{};
  piece.size = sizeof piece;
  while (checked(gpt2edge_text_next(text, &piece)) == GPT2EDGE_OK) {
    write(piece.text, piece.n_text);
  }
  write("\n", 1);
  return 0;
}

}  // namespace gpt2edge::program
