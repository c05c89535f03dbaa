// Naive loops for what the kernels compute, which know nothing of panels, lanes or tiles, and
// random inputs for both.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "check.h"
#include "formats/dequantize.h"
#include "kernels/dispatch.h"
#include "random_blocks.h"

namespace gpt2edge::test {

using namespace kernels;

inline int padded(int n) { return (n + 15) / 16 * 16; }

inline bool same_bits(const float* a, const float* b, int n) {
  return std::memcmp(a, b, sizeof(float) * static_cast<size_t>(n)) == 0;
}

// ---- a matrix as a file holds it ----

struct Matrix {
  TensorType type;
  int n_out, n_in;
  std::vector<std::byte> bytes;

  size_t row_size() const { return row_bytes(type, static_cast<size_t>(n_in)); }
  const std::byte* row(int r) const { return bytes.data() + row_size() * static_cast<size_t>(r); }
};

inline Matrix random_matrix(TensorType type, int n_out, int n_in, Random& random) {
  Matrix m{type, n_out, n_in, {}};
  m.bytes.resize(m.row_size() * static_cast<size_t>(n_out));
  draw_blocks(type, m.bytes, random);
  return m;
}

struct Packed {
  std::vector<uint8_t> storage;
  PackedMatrix matrix;
};

inline Packed pack(const Matrix& m, int code_bias) {
  Packed p;
  const PanelLayout layout = panel_layout(m.type, m.n_in);
  const int n_panels = panel_count(m.n_out);
  p.storage.resize(layout.panel_bytes * static_cast<size_t>(n_panels) + 64);
  auto* base = p.storage.data();
  base += (64 - reinterpret_cast<uintptr_t>(base) % 64) % 64;
  for (int i = 0; i < n_panels; ++i) {
    const int n_rows = std::min(kPanelRows, m.n_out - i * kPanelRows);
    pack_panel(layout, m.type, m.row(i * kPanelRows), n_rows, code_bias,
               base + layout.panel_bytes * static_cast<size_t>(i));
  }
  p.matrix = {layout, base, m.n_out, code_bias};
  return p;
}

// ---- the oracle ----

struct Blocks {
  std::vector<int8_t> codes;
  std::vector<float> scales;
};

// Activations to int8, in groups of 32.
inline Blocks quantize_naively(const std::vector<float>& x) {
  Blocks out;
  for (size_t b = 0; b < x.size(); b += 32) {
    float largest = 0;
    for (size_t i = b; i < b + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    out.scales.push_back(largest / 127.0f);
    const float inverse = largest >= 1e-30f ? 127.0f / largest : 0.0f;
    for (size_t i = b; i < b + 32; ++i) {
      out.codes.push_back(static_cast<int8_t>(std::nearbyintf(x[i] * inverse)));
    }
  }
  return out;
}

// The scale and the codes of a row, told from its numbers alone: dequantizing with the codes known
// would repeat the program, so the row is decoded by the format's own formulas for a code of 0
// and 1.
struct DecodedBlock {
  float scale[2], min;
  int code[32];
};

inline uint16_t half_at(const std::byte* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

inline int byte_at(const std::byte* p) { return static_cast<int>(*p); }

inline DecodedBlock decode_simple(TensorType type, const std::byte* block) {
  DecodedBlock d{};
  const bool has_min = type == TensorType::Q4_1 || type == TensorType::Q5_1;
  const bool five = type == TensorType::Q5_0 || type == TensorType::Q5_1;
  d.scale[0] = d.scale[1] = half_to_float(half_at(block));
  d.min = has_min ? half_to_float(half_at(block + 2)) : 0.0f;
  const std::byte* rest = block + (has_min ? 4 : 2);
  uint32_t fifth = 0;
  if (five) {
    std::memcpy(&fifth, rest, 4);
    rest += 4;
  }
  constexpr int kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};
  for (int i = 0; i < 32; ++i) {
    if (type == TensorType::IQ4_NL) {
      d.code[i] = kTable[byte_at(rest + i % 16) >> (i / 16 * 4) & 15];
    } else if (type == TensorType::Q8_0) {
      d.code[i] = static_cast<int8_t>(byte_at(rest + i));
    } else {
      const int nibble = byte_at(rest + i % 16) >> (i / 16 * 4) & 15;
      const int offset = type == TensorType::Q4_0 ? 8 : type == TensorType::Q5_0 ? 16 : 0;
      d.code[i] = (nibble | (five ? static_cast<int>(fifth >> i & 1) << 4 : 0)) - offset;
    }
  }
  return d;
}

// One dot product: integers exactly inside a group, groups in ascending order by fused
// multiply-adds.
inline float dot_naively(const Matrix& m, int r, const std::vector<float>& x, const Blocks& q) {
  float sum = 0.0f;
  std::vector<float> w(static_cast<size_t>(m.n_in));
  dequantize_row(m.type, m.row(r), w.data(), w.size());
  if (is_float(form_of(m.type))) {
    for (size_t k = 0; k < w.size(); ++k) sum = std::fmaf(w[k], x[k], sum);
    return sum;
  }
  const int block_bytes = type_traits(static_cast<uint32_t>(m.type))->block_bytes;
  for (int b = 0; b < m.n_in / 32; ++b) {
    const DecodedBlock d = decode_simple(m.type, m.row(r) + b * block_bytes);
    int dot = 0, x_sum = 0;
    for (int i = 0; i < 32; ++i) {
      const int code = q.codes[static_cast<size_t>(32 * b + i)];
      dot += d.code[i] * code;
      x_sum += code;
      CHECK(d.scale[0] * static_cast<float>(d.code[i]) + d.min ==
            w[static_cast<size_t>(32 * b + i)]);
    }
    const float x_scale = q.scales[static_cast<size_t>(b)];
    sum = std::fmaf(static_cast<float>(dot), d.scale[0] * x_scale, sum);
    if (m.type == TensorType::Q4_1 || m.type == TensorType::Q5_1) {
      sum = std::fmaf(d.min, static_cast<float>(x_sum) * x_scale, sum);
    }
  }
  return sum;
}

struct Activations {
  int n_rows, n_in, stride;
  std::vector<float> values;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums, starts8, starts4;
  std::vector<float> scaled_sums;

  Activations(int rows, int n, Random& random)
      : n_rows(rows),
        n_in(n),
        stride(padded(n) + 16),
        values(static_cast<size_t>(rows * stride)),
        codes(static_cast<size_t>(rows * n + 4)),
        scales(static_cast<size_t>(rows * n / 32 + 1)),
        sums(static_cast<size_t>(rows * n / 16 + 1)),
        starts8(scales.size()),
        starts4(scales.size()),
        scaled_sums(scales.size()) {
    for (auto& v : values) v = random.uniform(-1, 1) * (random.below(50) == 0 ? 40.0f : 1.0f);
    if (n >= 32) std::fill_n(values.begin(), 32, 0.0f);  // a block of zeros
  }
  std::vector<float> row(int i) const {
    const auto first = values.begin() + static_cast<long>(i) * stride;
    return {first, first + n_in};
  }
  QuantizedRows quantized(int tile) {
    return {tile,           codes.data(),   scales.data(),     sums.data(),
            starts8.data(), starts4.data(), scaled_sums.data()};
  }
  QuantizedRows quantize(const KernelTable& table) {
    const QuantizedRows out = quantized(table.max_tokens);
    for (int first = 0; first < n_rows; first += out.tile) {
      table.quantize_tile({values.data() + static_cast<long>(first) * stride,
                           static_cast<size_t>(stride), std::min(out.tile, n_rows - first), n_in,
                           first, out});
    }
    return out;
  }
};

// Pages of heads that are side by side, somewhere in memory and in no order.
struct Cache {
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> pages;
  HeadBytes bytes;
  HeadCache head;  // the first
  Cache(CacheType type, int d_head, int n_ctx, size_t n_heads = 1)
      : bytes(head_bytes(type, d_head)) {
    const size_t keys = 64, values = keys + n_heads * bytes.keys;
    const size_t key_scales = values + n_heads * bytes.values;
    const size_t value_scales = key_scales + n_heads * bytes.scales;
    const int n_pages = (n_ctx + kPagePositions - 1) / kPagePositions;
    for (int i = 0; i < n_pages; ++i) memory.emplace_back(value_scales + n_heads * bytes.scales);
    for (auto page = memory.rbegin(); page != memory.rend(); ++page) pages.push_back(page->data());
    head = {pages.data(), keys, values, key_scales, value_scales, d_head, type};
  }
};

// e^x as the kernels define it, for one number.
inline float exponential_naively(float x) {
  const float shift = 12582912.0f;  // rounds to an integer
  const float n = std::fmaf(x, 1.44269504f, shift) - shift;
  const float r = std::fmaf(n, 2.12194440e-4f, std::fmaf(n, -0.693359375f, x));
  float p = 1.9875691500e-4f;
  for (const float c :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = std::fmaf(p, r, c);
  }
  return std::ldexp(std::fmaf(p * r, r, r) + 1.0f, static_cast<int>(n));
}

// The largest code of a query or a key: of 16 bits as far as d products fit 32 bits together, d
// rounded up to 16.
inline float largest_code(CacheType type, int d) {
  if (type == CacheType::kInt8) return 127;
  int64_t code = 1;
  while ((code + 1) * (code + 1) * padded(d) < int64_t{1} << 31) ++code;
  return static_cast<float>(code);
}

// A query's score with one key, from what a cache of this type keeps of it.
inline float score_naively(CacheType type, const float* query, const float* key, int d) {
  const float root = std::sqrt(static_cast<float>(d));
  if (type == CacheType::kF32 || type == CacheType::kF16) {
    float sum = 0;
    for (int k = 0; k < d; ++k) {
      const bool is_f16 = type == CacheType::kF16;
      sum = std::fmaf(is_f16 ? half_to_float(float_to_half(key[k])) : key[k], query[k], sum);
    }
    return sum * (1.0f / root);
  }
  const float code = largest_code(type, d);
  float largest[2] = {};
  for (int k = 0; k < d; ++k) {
    largest[0] = std::max(largest[0], std::fabs(query[k]));
    largest[1] = std::max(largest[1], std::fabs(key[k]));
  }
  int sum = 0;
  for (int k = 0; k < d; ++k) {
    sum += static_cast<int>(std::nearbyintf(query[k] * (code / largest[0]))) *
           static_cast<int>(std::nearbyintf(key[k] * (code / largest[1])));
  }
  return static_cast<float>(sum) * (largest[1] / code * (largest[0] / code / root));
}

// The weights that the softmax makes of scores, which add up in 16 lanes.
inline std::vector<float> softmax_naively(std::vector<float> x) {
  const float largest = *std::max_element(x.begin(), x.end());
  float lane[16] = {};
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = exponential_naively(x[i] - largest);
    lane[i % 16] += x[i];
  }
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  for (float& weight : x) weight /= lane[0];
  return x;
}

// The weights of n queries as (n, n) floats, of rows [query, key, value].
inline std::vector<float> weights_naively(CacheType type, const std::vector<float>& qkv, int d_head,
                                          int n) {
  const auto d = static_cast<size_t>(d_head), rows = static_cast<size_t>(n);
  std::vector<float> weights(rows * rows);
  for (size_t i = 0; i < rows; ++i) {
    std::vector<float> scores;
    for (size_t j = 0; j <= i; ++j) {
      scores.push_back(score_naively(type, &qkv[3 * d * i], &qkv[3 * d * j + d], d_head));
    }
    const std::vector<float> row = softmax_naively(scores);
    std::copy(row.begin(), row.end(), weights.begin() + static_cast<ptrdiff_t>(rows * i));
  }
  return weights;
}

}  // namespace gpt2edge::test
