// Keeps a text within a language: which tokens may come next.
//
// Whoever implements it knows the language (csrc/python/python_constraint.h asks Python); the text
// (text.h) knows when to ask. The masks for a pass are asked for before it and used after it, so
// that they can be computed beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gpt2edge {

// A bit for each token of the vocabulary, that of token 0 the lowest of the first word: whether the
// token may come next. The end-of-text token may come where the language may end.
using TokenMask = std::vector<uint32_t>;

inline bool allows(const TokenMask& mask, int32_t token) {
  const auto word = static_cast<size_t>(token) / 32;
  return word < mask.size() && (mask[word] >> (token % 32) & 1) != 0;
}

class Constraint {
 public:
  // What follows a text whatever the model says.
  struct Forced {
    std::vector<int32_t> tokens;
    bool is_complete = false;  // nothing may follow these tokens
  };

  virtual ~Constraint() = default;

  // How many bytes at the prompt's end the first tokens write again. Those tokens are of the
  // prompt, and so is the beginning of the one that goes on behind its end.
  virtual size_t n_repeated() const { return 0; }
  // The tokens that the text must begin with. Called once, before the other functions.
  virtual Forced start() = 0;
  // Adds a token to the text, and those that must follow it, which are returned. Throws
  // std::invalid_argument or an error of its own for a token that is not allowed.
  virtual Forced accept(int32_t token) = 0;
  // How many of the draft tokens may follow the text.
  virtual size_t count_allowed(std::span<const int32_t> draft) = 0;
  // Begins to compute the masks after the text and after each of the draft tokens, which are
  // allowed, and returns without waiting for them. Those that are known since the last token of the
  // text are not computed again.
  virtual void begin_masks(std::span<const int32_t> draft) = 0;
  // The mask after the first n of those draft tokens; null where nothing may follow them. Throws
  // where the language has no text that goes on so, or has become too complex to follow.
  virtual const TokenMask* mask(size_t n) = 0;
  // What it takes to make another one of the same language and at the same place.
  virtual std::string saved() const = 0;
};

// Makes a constraint of what `saved` gave, for a text of these tokens after the prompt. Its
// n_repeated() is of the first of them, or of those to come where there is none.
using MakeConstraint = std::function<std::unique_ptr<Constraint>(
    const std::string& saved, std::span<const int32_t> prompt, std::span<const int32_t> tokens)>;

}  // namespace gpt2edge
