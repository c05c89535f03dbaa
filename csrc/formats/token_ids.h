// Token ids by text.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace gpt2edge {

constexpr int32_t kNoToken = -1;

// An open hash table, at most half full, whose slots lie side by side. A slot keeps part of its
// token's hash, so that a look at the text itself seldom is in vain. Texts: a container of them by
// id.
template <typename Texts>
class TokenIds {
 public:
  static constexpr int32_t kNone = kNoToken;

  // A text to look for, with its hash.
  struct Key {
    std::string_view text;
    uint64_t hash;
  };

  // The texts outlive the table, which is for most of them, and there are at most 2^31 - 1.
  explicit TokenIds(const Texts& texts)
      : texts_(texts), slots_(std::bit_ceil(2 * texts.size() + 2)) {}

  // Enters a token, unless one of the same text is there already. Returns the id that is there now.
  int32_t add(int32_t id) {
    const Key key = hashed(texts_[static_cast<size_t>(id)]);
    Slot& slot = slots_[slot_of(key)];
    if (slot.id == kNone) slot = {tag(key), id};
    return slot.id;
  }

  // The token of a text, or kNone.
  int32_t find(std::string_view text) const { return find(hashed(text)); }
  int32_t find(const Key& key) const { return slots_[slot_of(key)].id; }

  // The key of a text that will be looked for after others: its slot is on the way from memory.
  Key prepared(std::string_view text) const {
    const Key key = hashed(text);
#if defined(__GNUC__)
    __builtin_prefetch(&slots_[first_slot(key)]);
#endif
    return key;
  }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = kNone;
  };

  template <typename T>
  static uint64_t bytes_at(const char* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }

  // Eight bytes at a time, of which the last ones may have been there before: most tokens are
  // short.
  static Key hashed(std::string_view text) {
    constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
    const char* p = text.data();
    const size_t n = text.size();
    uint64_t hash = n * kOdd;
    const auto mix = [&hash](uint64_t bytes) {
      hash = (hash ^ bytes) * kOdd;
      hash ^= hash >> 32;
    };
    for (size_t i = 8; i < n; i += 8) mix(bytes_at<uint64_t>(p + i - 8));
    if (n >= 8) {
      mix(bytes_at<uint64_t>(p + n - 8));
    } else if (n >= 4) {
      mix(bytes_at<uint32_t>(p) << 32 | bytes_at<uint32_t>(p + n - 4));
    } else if (n > 0) {
      mix(bytes_at<uint8_t>(p) << 16 | bytes_at<uint8_t>(p + n / 2) << 8 |
          bytes_at<uint8_t>(p + n - 1));
    }
    mix(0);
    return {text, hash};
  }
  static uint32_t tag(const Key& key) { return static_cast<uint32_t>(key.hash >> 32); }
  size_t first_slot(const Key& key) const {
    return static_cast<size_t>(key.hash) & (slots_.size() - 1);
  }

  // The text's slot, or the empty one where it belongs.
  size_t slot_of(const Key& key) const {
    size_t i = first_slot(key);
    while (slots_[i].id != kNone) {
      const Slot& slot = slots_[i];
      if (slot.tag == tag(key) && texts_[static_cast<size_t>(slot.id)] == key.text) break;
      i = (i + 1) & (slots_.size() - 1);
    }
    return i;
  }

  const Texts& texts_;
  std::vector<Slot> slots_;
};

}  // namespace gpt2edge
