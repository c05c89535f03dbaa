#include "compress/range_coder.h"

#include <algorithm>
#include <utility>

namespace gpt2edge {
namespace {

constexpr int kTopShift = 56;
constexpr uint64_t kLeastRange = uint64_t{1} << kTopShift;

}  // namespace

void RangeEncoder::encode(const FrequencyInterval& symbol) {
  const uint64_t unit = range_ / symbol.total;
  const uint64_t before = low_;
  low_ += unit * symbol.start;
  if (low_ < before) carry();
  range_ = unit * symbol.size;
  while (range_ < kLeastRange) {
    shift();
    range_ <<= 8;
  }
}

// There is a byte that is not 0xFF, or the number would be 1.
void RangeEncoder::carry() {
  size_t i = bytes_.size();
  while (static_cast<unsigned char>(bytes_[--i]) == 0xFF) bytes_[i] = 0;
  bytes_[i] = static_cast<char>(static_cast<unsigned char>(bytes_[i]) + 1);
}

void RangeEncoder::shift() {
  bytes_.push_back(static_cast<char>(low_ >> kTopShift));
  low_ <<= 8;
}

// The range is at least 2^56: a multiple of that lies within it.
std::string RangeEncoder::finish() {
  if (low_ > UINT64_MAX - (range_ - 1)) {  // 2^64 lies within it
    carry();
  } else if (low_ > 0) {
    low_ += kLeastRange - 1;
    shift();
  }
  return std::move(bytes_);
}

RangeDecoder::RangeDecoder(std::span<const std::byte> code) : code_(code) {
  for (size_t i = 0; i < kAhead; ++i) offset_ = offset_ << 8 | next_byte();
}

uint64_t RangeDecoder::next_byte() {
  const size_t at = position_++;
  return at < code_.size() ? std::to_integer<uint64_t>(code_[at]) : 0;
}

uint64_t RangeDecoder::place(uint64_t total) const {
  return std::min(offset_ / (range_ / total), total - 1);
}

// `low` of the encoder is the bytes from n_settled() on, less `offset_`.
bool RangeDecoder::is_at_end() const {
  if (is_past_end() || offset_ >= range_) return false;
  if (n_settled() == code_.size()) return true;
  if (code_.size() - n_settled() > 1) return false;
  const uint64_t last = std::to_integer<uint64_t>(code_.back()) << kTopShift;
  const uint64_t low = last - offset_;
  return offset_ < std::min(last, kLeastRange) && low <= UINT64_MAX - (range_ - 1);
}

void RangeDecoder::accept(const FrequencyInterval& symbol) {
  const uint64_t unit = range_ / symbol.total;
  offset_ -= unit * symbol.start;
  range_ = unit * symbol.size;
  while (range_ < kLeastRange) {
    offset_ = offset_ << 8 | next_byte();
    range_ <<= 8;
  }
}

}  // namespace gpt2edge
