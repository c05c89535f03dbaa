#include "quantize/quantize.h"

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "formats/dequantize.h"
#include "quantize/code_grid.h"

namespace gpt2edge {
namespace {

constexpr float kLargestHalf = 65504.0f;

float largest_magnitude(const float* x, size_t n) {
  // Integer maxima of the bits order magnitudes as floats do, put NaN above infinity, and
  // vectorize.
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t magnitude = float_bits(x[i]) & 0x7FFFFFFFu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return float_of_bits(largest);
}

// Rounds half away from zero, as roundf does, for |x| < 2^22.
int round_away(float x) {
  const int whole = static_cast<int>(x);
  const float rest = x - static_cast<float>(whole);
  return whole + static_cast<int>(rest >= 0.5f) - static_cast<int>(rest <= -0.5f);
}

// 1 / d, or 0 where that overflows: then the stored scale is 0, and so are the numbers. (The
// formats do not say what the codes are then. Both quantizers here write 0, as ggml's do on x86.)
float inverse_of(float d) {
  const float inverse = 1.0f / d;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

void to_f32(const float* x, size_t n, std::byte* out) { std::memcpy(out, x, n * sizeof(float)); }

template <uint16_t (*Convert)(float)>
void to_16_bits(const float* x, size_t n, std::byte* out) {
  for (size_t i = 0; i < n; ++i) {
    const uint16_t bits = Convert(x[i]);
    std::memcpy(out + i * sizeof bits, &bits, sizeof bits);
  }
}

void to_q8_0(const float* x, size_t n, std::byte* out) {
  for (size_t b = 0; b < n / 32; ++b, x += 32, out += sizeof(BlockQ8_0)) {
    const float d = largest_magnitude(x, 32) / 127.0f;
    const float inverse = inverse_of(d);
    BlockQ8_0 block;
    block.d = float_to_half(d);
    for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(round_away(x[i] * inverse));
    std::memcpy(out, &block, sizeof block);
  }
}

// The number of largest magnitude, with its sign; the first of them where several are equal.
float signed_extreme(const float* x) {
  float magnitude = 0.0f, extreme = 0.0f;
  for (int i = 0; i < 32; ++i) {
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extreme = x[i];
    }
  }
  return extreme;
}

void to_q4_0(const float* x, size_t n, std::byte* out) {
  for (size_t b = 0; b < n / 32; ++b, x += 32, out += sizeof(BlockQ4_0)) {
    // The extreme becomes code -8, whatever its sign: the negative side has one code more.
    const float d = signed_extreme(x) / -8.0f;
    const float inverse = inverse_of(d);
    // Rounds to the nearest and moves -8 .. 7 to 0 .. 15.
    const float centre = inverse != 0.0f || d == 0.0f ? 8.5f : 0.0f;
    BlockQ4_0 block;
    block.d = float_to_half(d);
    const auto code = [&](int i) {
      const int q = static_cast<int>(x[i] * inverse + centre);
      return static_cast<uint8_t>(q < 15 ? q : 15);
    };
    for (int i = 0; i < 16; ++i) {
      block.qs[i] = static_cast<uint8_t>(code(i) | code(i + 16) << 4);
    }
    std::memcpy(out, &block, sizeof block);
  }
}

// The largest magnitude that a type holds. With scales it is the scale that must not overflow.
float largest_storable(TensorType type) {
  if (type == TensorType::F16) return kLargestHalf;
  if (type == TensorType::BF16) return float_of_bits(0x7F7F0000u);
  const CodeSet* set = code_set(type);
  if (set == nullptr) return float_of_bits(0x7F7FFFFFu);
  if (set->has_min && has_one_scale(*set)) return kLargestHalf;  // the min's
  const int level = set->lowest < 0 ? -set->lowest : set->highest;
  return kLargestHalf * static_cast<float>(level);
}

void check_row(TensorType type, const float* x, size_t row, size_t n) {
  const float limit = largest_storable(type);
  if (largest_magnitude(x, n) <= limit) return;
  for (size_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) <= limit) continue;
    throw std::invalid_argument(
        message("the number at row ", row, ", column ", i, " is ", x[i], ", which ",
                type_traits(static_cast<uint32_t>(type))->name, " cannot hold",
                std::isfinite(x[i]) ? ": choose f32" : ": the checkpoint is damaged"));
  }
}

void quantize_row(TensorType type, const float* x, size_t n, std::byte* out) {
  switch (type) {
    case TensorType::F32:
      return to_f32(x, n, out);
    case TensorType::F16:
      return to_16_bits<float_to_half>(x, n, out);
    case TensorType::BF16:
      return to_16_bits<float_to_bfloat16>(x, n, out);
    case TensorType::Q8_0:
      return to_q8_0(x, n, out);
    case TensorType::Q4_0:
      return to_q4_0(x, n, out);
    default:
      return;  // has no reference here: has_reference() is asked first
  }
}

float weighted_error(TensorType type, const float* x, const float* weights, size_t n,
                     const std::byte* block) {
  float restored[kLargestBlock], sum = 0.0f;
  dequantize_row(type, block, restored, n);
  for (size_t i = 0; i < n; ++i) {
    const float error = x[i] - restored[i];
    sum += weights[i] * (error * error);
  }
  return sum;
}

// A block with searched scales, unless the reference's errs less.
void search_block(TensorType type, const float* x, const float* weights, std::byte* out) {
  const CodeSet& set = *code_set(type);
  const CodeGrid grid = fit_grid(set, x, weights);
  int8_t levels[kLargestBlock];
  for (int i = 0; i < set.block; ++i) levels[i] = static_cast<int8_t>(grid.nearest(i, x[i]));
  pack_block(type, grid, levels, out);
  if (!has_reference(type)) return;
  const auto n = static_cast<size_t>(set.block);
  std::byte reference[sizeof(BlockQ8_0)];
  quantize_row(type, x, n, reference);
  const float error = weighted_error(type, x, weights, n, out);
  if (weighted_error(type, x, weights, n, reference) <= error) {
    std::memcpy(out, reference, row_bytes(type, n));
  }
}

void search_row(TensorType type, const float* x, const float* weights, size_t n, std::byte* out) {
  const auto block = static_cast<size_t>(code_set(type)->block);
  for (size_t i = 0; i < n; i += block) {
    search_block(type, x + i, weights + i, out + row_bytes(type, i));
  }
}

}  // namespace

bool has_reference(TensorType type) {
  return type == TensorType::F32 || type == TensorType::F16 || type == TensorType::BF16 ||
         type == TensorType::Q8_0 || type == TensorType::Q4_0;
}

bool can_quantize_to(TensorType type) { return has_reference(type) || code_set(type) != nullptr; }

void check_quantizable(TensorType type, size_t n_in) {
  const TypeTraits& traits = *type_traits(static_cast<uint32_t>(type));
  if (!can_quantize_to(type)) {
    throw std::invalid_argument(message("cannot quantize to ", traits.name,
                                        ": choose f32, f16, bf16, q8_0, q6_k, q5_1, q5_k, q5_0, "
                                        "q4_1, q4_k, q4_0, iq4_nl, iq4_xs or q3_k"));
  }
  if (n_in % static_cast<size_t>(traits.block_size) != 0) {
    throw std::invalid_argument(message("rows have ", n_in, " numbers, expected a multiple of ",
                                        traits.block_size, " for type ", traits.name));
  }
}

void check_rows(TensorType type, const float* values, size_t n_rows, size_t n_in,
                size_t first_row) {
  for (size_t row = 0; row < n_rows; ++row) {
    check_row(type, values + row * n_in, first_row + row, n_in);
  }
}

void quantize_rows(TensorType type, const float* values, size_t n_rows, size_t n_in, std::byte* out,
                   size_t first_row, Rounding rounding, const float* weights) {
  check_quantizable(type, n_in);
  const bool by_reference =
      code_set(type) == nullptr || (rounding == Rounding::kReference && has_reference(type));
  const std::vector<float> ones(weights == nullptr && !by_reference ? n_in : 0, 1.0f);
  if (weights == nullptr) weights = ones.data();
  const size_t row_size = row_bytes(type, n_in);
  for (size_t row = 0; row < n_rows; ++row) {
    const float* x = values + row * n_in;
    check_row(type, x, first_row + row, n_in);
    std::byte* to = out + row * row_size;
    by_reference ? quantize_row(type, x, n_in, to) : search_row(type, x, weights, n_in, to);
  }
}

}  // namespace gpt2edge
