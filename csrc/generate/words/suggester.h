// Suggests the next words of a text. Results are cached for texts that change by a few letters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fork.h"
#include "base/lru_cache.h"
#include "generate/words/distribution.h"
#include "generate/words/text_contexts.h"
#include "generate/words/word_search.h"
#include "generate/words/word_vocabulary.h"
#include "tokenize/tokenizer.h"

namespace gpt2edge {

// Several threads may use one; their calls take turns.
class Suggester {
 public:
  static constexpr int64_t kUsualPasses = 3;  // of a search, where nobody says otherwise

  // n_ctx and cache_type are the sequences'. max_passes: how many passes over the weights a search
  // takes at most, each for up to 8 sequences of tokens, apart from that for text that is new.
  // Throws std::invalid_argument for a number out of range, and for a tokenizer with more tokens
  // than the model has.
  Suggester(std::shared_ptr<Model> model, std::shared_ptr<const Tokenizer> tokenizer, int n_ctx,
            kernels::CacheType cache_type, int64_t max_passes = kUsualPasses);

  // The k most probable next words of a text in UTF-8, the most probable first. What is found
  // depends on the text alone, and is the same on every processor. Calls `interrupt` while it waits
  // for other threads. Throws std::invalid_argument for a k below 1,
  // and what start_token, Sequence::append and max_logit do.
  std::vector<WordSuggestion> suggest(std::string_view text, int64_t k, const Interrupt& interrupt);

  // Drops the cache and frees its memory.
  void clear(const Interrupt& interrupt);

 private:
  using TimedMutex = WorkMutexOf<std::timed_mutex>;
  using Tokens = std::vector<int32_t>;
  using Distributions = std::vector<const Distribution*>;

  std::unique_lock<TimedMutex> wait(const Interrupt& interrupt);
  std::string as_spelled(std::string_view text) const;
  Tokens long_word(std::string_view prefix) const;
  void run(WordSearch& search, const Tokens& context, const Tokens& path,
           const Interrupt& interrupt);
  Distributions distributions_along(const Tokens& context, const Tokens& path,
                                    const Interrupt& interrupt);
  Distributions distributions_after(const Tokens& context, std::span<const Tokens> paths,
                                    const Interrupt& interrupt);

  const std::shared_ptr<const Tokenizer> tokenizer_;
  const int64_t max_passes_;
  TimedMutex mutex_;  // of all that follows
  WordVocabulary vocabulary_;
  TextContexts contexts_;
  LruCache<Tokens, Distribution> cache_;  // of the next token, by the context's tokens and a path's
};

}  // namespace gpt2edge
