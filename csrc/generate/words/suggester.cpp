#include "generate/words/suggester.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace gpt2edge {
namespace {

constexpr size_t kRowsOfAPass = 8;         // one more costs little up to here
constexpr size_t kMaxDistributions = 128;  // the root's and a few letters' worth of a word
constexpr size_t kLongWord = 3;  // from so many tokens the partial word is encoded, not searched

int64_t checked(const char* name, int64_t value) {
  if (value < 1) throw std::invalid_argument(message(name, " is ", value, "; give 1 or more"));
  return value;
}

std::vector<int32_t> joined(std::span<const int32_t> view, std::span<const int32_t> path) {
  std::vector<int32_t> both(view.begin(), view.end());
  both.insert(both.end(), path.begin(), path.end());
  return both;
}

}  // namespace

Suggester::Suggester(std::shared_ptr<Model> model, std::shared_ptr<const Tokenizer> tokenizer,
                     int n_ctx, kernels::CacheType cache_type, int64_t max_passes)
    : tokenizer_(std::move(tokenizer)),
      max_passes_(checked("max_passes", max_passes)),
      vocabulary_(tokenizer_->tables()),
      contexts_(std::move(model), n_ctx, cache_type) {
  const size_t n_tokens = tokenizer_->tables()->token_bytes.size();
  const int n_vocab = contexts_.model().config().n_vocab;
  if (n_tokens > static_cast<size_t>(n_vocab)) {
    throw std::invalid_argument(
        message("the tokenizer has ", n_tokens, " tokens, the model ", n_vocab));
  }
}

std::vector<WordSuggestion> Suggester::suggest(std::string_view text, int64_t k,
                                               const Interrupt& interrupt) {
  checked("k", k);
  const std::string whole = as_spelled(text);
  const std::optional<PartialWord> partial = PartialWord::at_end_of(whole);
  if (!partial) return {};
  Tokens context = tokenizer_->encode(partial->context);
  if (context.empty()) context.push_back(start_token(*tokenizer_->tables()));
  const Tokens path = long_word(partial->prefix);
  const auto lock = wait(interrupt);
  WordSearch search(vocabulary_, *partial, static_cast<size_t>(k), contexts_.room());
  run(search, context, path, interrupt);
  return search.suggestions();
}

void Suggester::clear(const Interrupt& interrupt) {
  const auto lock = wait(interrupt);
  cache_.clear();
  contexts_.clear();
}

std::unique_lock<Suggester::TimedMutex> Suggester::wait(const Interrupt& interrupt) {
  std::unique_lock lock(mutex_, std::defer_lock);
  const auto soon = [] { return std::chrono::system_clock::now() + std::chrono::milliseconds(20); };
  while (!lock.try_lock_until(soon())) {
    if (interrupt) interrupt();
  }
  return lock;
}

// The text as its tokens spell it. Some tokenizers write a space before a text's first word, or
// small letters for capitals, and leave out a space at the end.
std::string Suggester::as_spelled(std::string_view text) const {
  const TokenizerTables& tables = *tokenizer_->tables();
  if (tables.hidden_spaces == 0) return std::string(text);
  const std::string bytes = spelled(tables, tokenizer_->encode(text));
  const bool goes_on = !text.empty() && !text.ends_with(' ') && !bytes.empty();
  return goes_on ? bytes : bytes + ' ';
}

// The tokens of a long partial word, which a search would need many passes for. None where a word
// alone is spelled in another way than behind a text.
Suggester::Tokens Suggester::long_word(std::string_view prefix) const {
  if (prefix.size() < kLongWord) return {};
  Tokens path = tokenizer_->encode(prefix);
  if (path.size() < kLongWord) return {};
  if (spelled(*tokenizer_->tables(), path) != prefix) return {};
  path.resize(std::min(path.size(), contexts_.room()));
  return path;
}

void Suggester::run(WordSearch& search, const Tokens& context, const Tokens& path,
                    const Interrupt& interrupt) {
  search.expand_path(path, distributions_along(context, path, interrupt));
  for (int64_t pass = path.empty() ? 0 : 1; pass < max_passes_; ++pass) {
    const std::vector<SearchNode> nodes = search.best(kRowsOfAPass);
    if (nodes.empty()) break;
    std::vector<Tokens> paths;
    for (const SearchNode& node : nodes) paths.push_back(node.path);
    search.expand(nodes, distributions_after(context, paths, interrupt));
  }
}

// The distributions after a context and after each token of a path.
Suggester::Distributions Suggester::distributions_along(const Tokens& context, const Tokens& path,
                                                        const Interrupt& interrupt) {
  const auto view = contexts_.view(context);
  std::vector<Tokens> paths, keys;
  for (size_t n = 0; n <= path.size(); ++n) {
    paths.emplace_back(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(n));
    if (n > 0) keys.push_back(joined(view, paths.back()));
  }
  const auto is_known = [this](const Tokens& key) { return cache_.contains(key); };
  if (!std::all_of(keys.begin(), keys.end(), is_known)) {
    distributions_after(context, {paths.data(), 1},
                        interrupt);  // first, for that may change the context
    Sequence& fork = *contexts_.forks(context, 1, interrupt).front();
    const auto n_vocab = static_cast<size_t>(contexts_.model().config().n_vocab);
    const auto logits = std::make_unique_for_overwrite<float[]>(path.size() * n_vocab);
    const Sequence::Part part{&fork, path, 1, logits.get()};
    Sequence::append({&part, 1}, interrupt);
    for (size_t i = 0; i < path.size(); ++i) {
      cache_.put(keys[i], Distribution({{&logits[n_vocab * i], n_vocab}}));
    }
  }
  return distributions_after(context, paths, interrupt);
}

// The distributions after a context followed by each path; one path may be empty.
Suggester::Distributions Suggester::distributions_after(const Tokens& context,
                                                        std::span<const Tokens> paths,
                                                        const Interrupt& interrupt) {
  const auto view = contexts_.view(context);
  std::vector<Tokens> keys, missing_keys;
  std::vector<const Tokens*> missing;
  for (const Tokens& path : paths) {
    keys.push_back(joined(view, path));
    if (cache_.contains(keys.back())) continue;
    if (path.empty()) {
      const Sequence& present = contexts_.sequence(context, true, interrupt);
      cache_.put(keys.back(), Distribution(present.logits_after(present.length())));
    } else {
      missing.push_back(&path);
      missing_keys.push_back(keys.back());
    }
  }
  if (!missing.empty()) {
    const auto forks = contexts_.forks(context, missing.size(), interrupt);
    std::vector<Sequence::Part> parts;
    for (size_t i = 0; i < missing.size(); ++i) parts.push_back({forks[i], *missing[i]});
    Sequence::append(parts, interrupt);
    for (size_t i = 0; i < missing.size(); ++i) {
      cache_.put(missing_keys[i], Distribution(forks[i]->logits_after(forks[i]->length())));
    }
  }
  Distributions found;
  for (const Tokens& key : keys) found.push_back(cache_.find(key));
  cache_.shrink(kMaxDistributions);  // these were used last, and are fewer
  return found;
}

}  // namespace gpt2edge
