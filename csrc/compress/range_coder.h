// Arithmetic coding: a message as one number between 0 and 1, whose interval each symbol narrows in
// proportion to the symbol's frequency.
//
// The coder is that of integers and bytes: the interval is `low` and `range`, 64 bits each, and
// whenever the range falls below 2^56 its first byte is settled and written. An addition that
// overflows `low` is carried into the bytes before. The bytes after the code count as zeros: of the
// numbers in the last interval, the code is the one with the fewest bytes.
//
// Source: Martin, "Range encoding: an algorithm for removing redundancy from a digitised message",
// 1979; Witten, Neal and Cleary, "Arithmetic coding for data compression", 1987.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace gpt2edge {

// The symbols before a symbol have `start` of the `total`, and itself has `size`, at least 1.
struct FrequencyInterval {
  uint64_t start, size, total;
};

constexpr uint64_t kMostFrequency = uint64_t{1} << 52;  // of a total

class RangeEncoder {
 public:
  void encode(const FrequencyInterval& symbol);
  // The whole code; nothing may be encoded afterwards.
  std::string finish();
  size_t size() const { return bytes_.size(); }

 private:
  void carry();
  void shift();

  std::string bytes_;
  uint64_t low_ = 0, range_ = UINT64_MAX;
};

// Decodes any bytes at all, as some symbols.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const std::byte> code);
  // A number below `total`, in the interval of the next symbol.
  uint64_t place(uint64_t total) const;
  // Goes on after the symbol of that interval.
  void accept(const FrequencyInterval& symbol);
  // Whether an encoder would have written more bytes for what was accepted; and whether it would
  // have written just these, had it ended here.
  bool is_past_end() const { return n_settled() > code_.size(); }
  bool is_at_end() const;

 private:
  static constexpr size_t kAhead = 8;  // bytes of `offset_`
  uint64_t next_byte();
  size_t n_settled() const { return position_ - kAhead; }

  std::span<const std::byte> code_;
  size_t position_ = 0;
  uint64_t offset_ = 0, range_ = UINT64_MAX;  // of the code within the interval
};

}  // namespace gpt2edge
