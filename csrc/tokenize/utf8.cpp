#include "tokenize/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace gpt2edge {
namespace {

constexpr size_t kLongest = 4;  // bytes of a character

struct ByteRange {
  unsigned low;
  unsigned high;
  bool contains(unsigned byte) const { return byte >= low && byte <= high; }
};

constexpr ByteRange kContinuation{0x80, 0xBF};

unsigned byte_at(std::string_view text, size_t i) { return static_cast<unsigned char>(text[i]); }

// Bytes of the character that `lead` begins; 1 when no longer character begins with it.
size_t character_length(unsigned lead) {
  if (ByteRange{0xC2, 0xDF}.contains(lead)) return 2;
  if (ByteRange{0xE0, 0xEF}.contains(lead)) return 3;
  if (ByteRange{0xF0, 0xF4}.contains(lead)) return 4;
  return 1;
}

// What may follow `lead` directly. Four leads allow less than the usual 80..BF, which keeps out
// overlong forms, surrogates and what lies beyond U+10FFFF. Source: Unicode standard, table 3-7.
ByteRange second_byte(unsigned lead) {
  switch (lead) {
    case 0xE0:
      return {0xA0, 0xBF};
    case 0xED:
      return {0x80, 0x9F};
    case 0xF0:
      return {0x90, 0xBF};
    case 0xF4:
      return {0x80, 0x8F};
    default:
      return kContinuation;
  }
}

// How many bytes are a character, or the beginning of one; 1 when no character begins so.
size_t well_formed_length(std::string_view text) {
  const unsigned lead = byte_at(text, 0);
  const size_t most = std::min(character_length(lead), text.size());
  size_t n = 1;
  while (n < most && (n == 1 ? second_byte(lead) : kContinuation).contains(byte_at(text, n))) ++n;
  return n;
}

// How many bytes, eight at a time, are ASCII.
size_t ascii_length(std::string_view text) {
  uint64_t eight;
  size_t n = 0;
  for (; n + sizeof eight <= text.size(); n += sizeof eight) {
    std::memcpy(&eight, text.data() + n, sizeof eight);
    if ((eight & 0x8080808080808080) != 0) break;
  }
  return n;
}

}  // namespace

Utf8Character first_character(std::string_view text) {
  const unsigned lead = byte_at(text, 0);
  if (lead < 0x80) return {Utf8State::kWhole, lead, 1};
  const size_t length = character_length(lead);
  if (length == 1) return {Utf8State::kInvalid};
  const size_t n = well_formed_length(text);
  if (n == length) return first_of_valid(text);
  if (n == text.size()) return {Utf8State::kIncomplete, 0, n};
  return {Utf8State::kInvalid};
}

Utf8Character last_character(std::string_view text) {
  const size_t most = std::min(kLongest, text.size());
  for (size_t n = 1; n <= most; ++n) {
    const size_t start = text.size() - n;
    if (kContinuation.contains(byte_at(text, start))) continue;  // the lead is further back
    const Utf8Character found = first_character(text.substr(start));
    if (found.length == n) return found;
    break;
  }
  return {Utf8State::kInvalid};
}

size_t incomplete_utf8_tail(std::string_view text) {
  if (text.empty()) return 0;
  const Utf8Character last = last_character(text);
  return last.state == Utf8State::kIncomplete ? last.length : 0;
}

size_t valid_utf8_length(std::string_view text) {
  size_t n = ascii_length(text);
  while (n < text.size()) {
    const Utf8Character next = first_character(text.substr(n));
    if (next.state != Utf8State::kWhole) break;
    n += next.length;
    n += ascii_length(text.substr(n));
  }
  return n;
}

std::optional<std::string> repaired_utf8(std::string_view text) {
  size_t n = valid_utf8_length(text);
  if (n == text.size()) return std::nullopt;
  std::string repaired;
  while (true) {
    repaired.append(text.substr(0, n));
    text.remove_prefix(n);
    if (text.empty()) return repaired;
    repaired.append("\xEF\xBF\xBD");
    text.remove_prefix(well_formed_length(text));
    n = valid_utf8_length(text);
  }
}

}  // namespace gpt2edge
