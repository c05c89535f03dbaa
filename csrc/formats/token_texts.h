// The bytes of all tokens of a vocabulary, one after another in one piece of memory.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2edge {

class TokenTexts {
 public:
  TokenTexts() = default;
  TokenTexts(std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) push_back(text);
  }

  // Memory for so many tokens of so many bytes in all.
  void reserve(size_t n_tokens, size_t n_bytes) {
    ends_.reserve(n_tokens);
    bytes_.reserve(n_bytes);
  }
  void push_back(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(bytes_.size());
  }

  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t token) const {
    const size_t start = token == 0 ? 0 : ends_[token - 1];
    return {bytes_.data() + start, ends_[token] - start};
  }
  bool operator==(const TokenTexts&) const = default;

 private:
  std::string bytes_;
  std::vector<size_t> ends_;  // in bytes_, by token
};

}  // namespace gpt2edge
