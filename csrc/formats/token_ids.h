// Token ids by text.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace gpt2edge {

// An open hash table, at most half full, whose slots lie side by side. A slot keeps part of its
// token's hash, so that a look at the text itself seldom is in vain. Texts: a vector of them by id.
template <typename Texts>
class TokenIds {
 public:
  static constexpr int32_t kNone = -1;

  // The texts outlive the table, which is for most of them, and there are at most 2^31 - 1.
  explicit TokenIds(const Texts& texts)
      : texts_(texts), slots_(std::bit_ceil(2 * texts.size() + 2)) {}

  // Enters a token, unless one of the same text is there already. Returns the id that is there now.
  int32_t add(int32_t id) {
    const std::string_view text = texts_[static_cast<size_t>(id)];
    Slot& slot = slots_[slot_of(text)];
    if (slot.id == kNone) slot = {tag(hash(text)), id};
    return slot.id;
  }

  // The token of a text, or kNone.
  int32_t find(std::string_view text) const { return slots_[slot_of(text)].id; }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = kNone;
  };

  static size_t hash(std::string_view text) { return std::hash<std::string_view>()(text); }
  static uint32_t tag(size_t hash) { return static_cast<uint32_t>(hash >> (sizeof hash * 4)); }

  // The text's slot, or the empty one where it belongs.
  size_t slot_of(std::string_view text) const {
    const size_t hashed = hash(text);
    size_t i = hashed & (slots_.size() - 1);
    while (slots_[i].id != kNone) {
      if (slots_[i].tag == tag(hashed) && texts_[static_cast<size_t>(slots_[i].id)] == text) break;
      i = (i + 1) & (slots_.size() - 1);
    }
    return i;
  }

  const Texts& texts_;
  std::vector<Slot> slots_;
};

}  // namespace gpt2edge
