#include "generate/sampling/dry.h"

#include <algorithm>
#include <utility>

namespace gpt2edge {
namespace {

// matches[k]: how many tokens before the last k are those before the end of the text.
// Source: the Z-algorithm, Gusfield, "Algorithms on Strings, Trees and Sequences", 1997, section
// 1.4, on the text read from its end. It takes linear time.
void match_backwards(std::span<const int32_t> text, std::vector<size_t>& matches) {
  const size_t n = text.size();
  const auto from_end = [&](size_t i) { return text[n - 1 - i]; };
  matches.assign(n, 0);
  size_t begin = 0, end = 0;  // of the match that reaches furthest
  for (size_t k = 1; k < n; ++k) {
    size_t length = k < end ? std::min(end - k, matches[k - begin]) : 0;
    while (k + length < n && from_end(length) == from_end(k + length)) ++length;
    matches[k] = length;
    if (k + length > end) {
      begin = k;
      end = k + length;
    }
  }
}

}  // namespace

Dry::Dry(const SamplerOptions& options, std::shared_ptr<const TokenizerTables> vocabulary)
    : multiplier_(options.dry_penalty_last_n == 0 ? 0 : options.dry_multiplier),
      base_(options.dry_base),
      allowed_length_(static_cast<size_t>(options.dry_allowed_length)),
      last_n_(options.dry_penalty_last_n),
      breakers_(is_on() ? options.dry_sequence_breakers : std::vector<std::string>(),
                std::move(vocabulary)) {}

void Dry::accept(int32_t token) {
  if (is_on()) breakers_.accept(token);
}

void Dry::apply(const LogitRow& row, std::span<const int32_t> text) {
  find_repetitions(text);
  for (const auto& [token, length] : longest_) {
    if (!breakers_.is_in(token)) subtract(row.at(token, kInText), penalty(length));
  }
}

void Dry::find_repetitions(std::span<const int32_t> text) {
  longest_.clear();
  if (breakers_.n_since() < allowed_length_) return;
  if (last_n_ > 0) text = text.last(std::min(text.size(), static_cast<size_t>(last_n_)));
  match_backwards(text, matches_);
  for (size_t k = 1; k < text.size(); ++k) {
    const size_t length = std::min(matches_[k], breakers_.n_since());
    if (length < allowed_length_) continue;
    size_t& longest = longest_[text[text.size() - k]];  // what came after it
    longest = std::max(longest, length);
  }
}

// Products of doubles are the same everywhere, which std::pow is not. A logit can lose no more than
// the range of a float.
double Dry::penalty(size_t length) const {
  double penalty = multiplier_;
  if (base_ == 1) return penalty;
  for (size_t n = length - allowed_length_; n > 0 && penalty < kLargestFloat; --n) penalty *= base_;
  return penalty;
}

}  // namespace gpt2edge
