#include "generate/stop_matcher.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "tokenize/utf8.h"

namespace gpt2edge {
namespace {

std::vector<size_t> borders(const std::string& text) {
  std::vector<size_t> border(text.size(), 0);
  for (size_t i = 1, k = 0; i < text.size(); ++i) {
    while (k > 0 && text[i] != text[k]) k = border[k - 1];
    if (text[i] == text[k]) ++k;
    border[i] = k;
  }
  return border;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  patterns_.reserve(stops.size());
  for (size_t i = 0; i < stops.size(); ++i) {
    if (stops[i].empty()) {
      throw std::invalid_argument(message("stop string ", i, " is empty, and would stop anywhere"));
    }
    std::vector<size_t> border = borders(stops[i]);
    patterns_.push_back({std::move(stops[i]), std::move(border)});
  }
}

std::string StopMatcher::push(std::string_view piece, bool can_stop) {
  if (stopped_) return {};
  held_ += piece;
  for (const char byte : piece) {
    for (Pattern& pattern : patterns_) step(pattern, byte);
    ++n_read_;
    can_stop ? note_matches() : drop_matches();
    if (match_ && match_->start <= earliest_open()) return stop();
  }
  uint64_t safe = earliest_open();  // a match that still waits starts later
  safe -= incomplete_utf8_tail(
      std::string_view(held_).substr(0, static_cast<size_t>(safe - n_released_)));
  return release_until(safe);
}

std::string StopMatcher::finish() {
  if (stopped_) return {};
  return match_ ? stop() : release_until(n_read_);
}

std::optional<std::string> StopMatcher::stop_string() const {
  if (!stopped_) return std::nullopt;
  return patterns_[match_->pattern].text;
}

void StopMatcher::step(Pattern& pattern, char byte) {
  size_t& n = pattern.n_matched;
  if (n == pattern.text.size()) n = pattern.border[n - 1];
  while (n > 0 && pattern.text[n] != byte) n = pattern.border[n - 1];
  if (pattern.text[n] == byte) ++n;
}

// Remembers the match that starts first. One that ends later and starts at the same place is
// longer.
void StopMatcher::note_matches() {
  for (size_t i = 0; i < patterns_.size(); ++i) {
    const size_t length = patterns_[i].text.size();
    if (patterns_[i].n_matched != length) continue;
    const uint64_t start = n_read_ - length;
    if (!match_ || start < match_->start) match_ = Match{start, i};
  }
}

// Goes on from complete matches as if they had not been there: with their longest border.
void StopMatcher::drop_matches() {
  for (Pattern& pattern : patterns_) {
    size_t& n = pattern.n_matched;
    if (n == pattern.text.size()) n = pattern.border[n - 1];
  }
}

// Where the first stop string that may still complete began; the end of the text if there is none.
uint64_t StopMatcher::earliest_open() const {
  size_t longest = 0;
  for (const Pattern& pattern : patterns_) longest = std::max(longest, pattern.n_matched);
  return n_read_ - longest;
}

std::string StopMatcher::release_until(uint64_t position) {
  const auto count = static_cast<size_t>(position - n_released_);
  std::string released = held_.substr(0, count);
  held_.erase(0, count);
  n_released_ = position;
  return released;
}

std::string StopMatcher::stop() {
  stopped_ = true;
  std::string released = release_until(match_->start);
  held_.clear();
  return released;
}

}  // namespace gpt2edge
