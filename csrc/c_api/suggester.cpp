// Next words.
#include "c_api/objects.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

gpt2edge_status gpt2edge_suggester_open(gpt2edge_model* model, gpt2edge_suggester** suggester) {
  return guarded([&] {
    auto& out = required(suggester, "the place for the suggester");
    const auto loaded = Models::get(model);
    auto made = std::make_shared<WordSuggester>();
    made->suggester = std::make_unique<Suggester>(loaded->model, loaded->tokenizer,
                                                  loaded->contexts.positions(*loaded->model),
                                                  loaded->contexts.cache_type);
    made->interrupt = loaded->interrupt;
    out = Suggesters::add(std::move(made));
  });
}

gpt2edge_status gpt2edge_suggester_close(gpt2edge_suggester* suggester) {
  return guarded([&] { Suggesters::close(suggester); });
}

gpt2edge_status gpt2edge_suggest(gpt2edge_suggester* suggester, const char* text, size_t n_text,
                                 size_t k, const gpt2edge_word** words, size_t* n_words) {
  return guarded([&] {
    auto& out = required(words, "the place for the words");
    auto& n = required(n_words, "the place for the number of words");
    const auto held = Suggesters::get(suggester);
    const std::lock_guard<WorkMutex> lock(held->mutex);
    const auto most = static_cast<int64_t>(std::min<size_t>(k, INT32_MAX));
    held->found =
        held->suggester->suggest(text_of(text, n_text, "the text"), most, held->interrupt);
    held->shown.clear();
    for (const WordSuggestion& found : held->found) {
      held->shown.push_back({found.word.c_str(), found.completion.c_str(), found.probability});
    }
    out = held->shown.data();
    n = held->shown.size();
  });
}
