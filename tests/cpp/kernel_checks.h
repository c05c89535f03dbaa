// What a kernel table is held to, for one shape each: the bits of the naive loops, and of the plain
// kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "check.h"
#include "formats/dequantize.h"
#include "kernel_oracle.h"
#include "kernels/dispatch.h"

namespace gpt2edge::test {

// Those with a short naive form, and those without.
constexpr TensorType kSimpleTypes[] = {TensorType::Q8_0, TensorType::Q4_0, TensorType::Q5_0,
                                       TensorType::Q4_1, TensorType::Q5_1, TensorType::IQ4_NL};
constexpr TensorType kNestedTypes[] = {
    TensorType::Q2_K,   TensorType::Q3_K,  TensorType::Q4_K,    TensorType::Q5_K,
    TensorType::Q6_K,   TensorType::IQ1_S, TensorType::IQ1_M,   TensorType::IQ2_XXS,
    TensorType::IQ2_XS, TensorType::IQ2_S, TensorType::IQ3_XXS, TensorType::IQ3_S,
    TensorType::IQ4_XS, TensorType::TQ1_0, TensorType::TQ2_0,   TensorType::MXFP4,
    TensorType::NVFP4,  TensorType::Q1_0,  TensorType::Q2_0,
};

// A tile whose inputs become codes a few blocks at a time is the same as one of all at once.
inline void check_quantized_in_parts(const KernelTable& table, const Activations& whole) {
  Random unused(0);
  Activations parts(whole.n_rows, whole.n_in, unused);
  parts.values = whole.values;
  const QuantizedRows out = parts.quantized(table.max_tokens);
  for (int first = 0; first < whole.n_in; first += 64) {
    table.quantize_tile({parts.values.data() + first, static_cast<size_t>(parts.stride),
                         parts.n_rows, std::min(64, whole.n_in - first), 0, out, first,
                         whole.n_in});
  }
  CHECK(parts.codes == whole.codes);
  CHECK(same_bits(parts.scales.data(), whole.scales.data(), static_cast<int>(whole.scales.size())));
  CHECK(parts.sums == whole.sums);
  CHECK(parts.starts8 == whole.starts8);
  CHECK(parts.starts4 == whole.starts4);
  CHECK(parts.scaled_sums == whole.scaled_sums);
}

inline void check_quantize_tile(const KernelTable& table, int n_in, int width, Random& random) {
  Activations a(width, n_in, random);
  const QuantizedRows found = a.quantize(table);
  for (int i = 0; i < width; ++i) {
    const Blocks expected = quantize_naively(a.row(i));
    int sum[2] = {0, 0};
    for (int k = 0; k < n_in; ++k) {
      const int code = expected.codes[static_cast<size_t>(k)];
      CHECK(found.codes[(k / 4 * width + i) * 4 + k % 4] == code);
      sum[k % 32 / 16] += code;
      if (k % 32 != 31) continue;
      const int b = k / 32, at = b * width + i;
      CHECK(same_bits(&found.scales[at], &expected.scales[static_cast<size_t>(b)], 1));
      CHECK(found.sums[2 * b * width + i] == sum[0]);
      CHECK(found.sums[(2 * b + 1) * width + i] == sum[1]);
      if (table.code_bias != 0) CHECK(found.starts8[at] == -table.code_bias * (sum[0] + sum[1]));
      CHECK(found.starts4[at] == -8 * (sum[0] + sum[1]));
      CHECK(found.scaled_sums[at] == static_cast<float>(sum[0] + sum[1]) * found.scales[at]);
      sum[0] = sum[1] = 0;
    }
  }
  check_quantized_in_parts(table, a);
}

inline void check_matmul(const KernelTable& table, TensorType type, int n_out, int n_in, int n_rows,
                         Random& random) {
  const Matrix m = random_matrix(type, n_out, n_in, random);
  const Packed packed = pack(m, table.code_bias);
  Activations a(n_rows, n_in, random);
  const bool integers = !is_float(form_of(type));
  const auto stride = static_cast<size_t>(a.stride);
  const QuantizedRows quantized = integers ? a.quantize(table) : QuantizedRows{};
  const auto columns = static_cast<size_t>(padded(n_out));
  std::vector<float> bias(columns), out(static_cast<size_t>(n_rows) * columns, 7.0f);
  for (int i = 0; i < n_out; ++i) bias[static_cast<size_t>(i)] = random.uniform(-1, 1);
  MatmulArgs args = {
      packed.matrix, a.values.data(),     stride,     quantized, n_rows, 0, panel_count(n_out),
      bias.data(),   Epilogue::kResidual, out.data(), columns};
  std::vector<uint8_t> scratch(matmul_scratch(n_in));
  if (n_rows % 2 == 0) args.scratch = scratch.data();
  args.prefetch_stream = n_rows % 3 == 0;
  table.matmul(args);
  for (int i = 0; i < n_rows; ++i) {
    const std::vector<float> x = a.row(i);
    const Blocks q = integers ? quantize_naively(x) : Blocks{};
    for (int r = 0; r < n_out; ++r) {
      const float expected = 7.0f + (dot_naively(m, r, x, q) + bias[static_cast<size_t>(r)]);
      const float found = out[static_cast<size_t>(i) * columns + static_cast<size_t>(r)];
      CHECK(same_bits(&expected, &found, 1));
    }
  }
  std::vector<float> row(static_cast<size_t>(n_in)), expected(row.size());
  for (const int r : {0, n_out / 2, n_out - 1}) {
    unpack_row(packed.matrix, r, row.data());
    dequantize_row(type, m.row(r), expected.data(), expected.size());
    for (size_t k = 0; k < row.size(); ++k) CHECK(row[k] == expected[k]);
  }
}

// Outputs as codes are what quantizing the outputs as floats gives, whichever panels a call takes.
inline void check_matmul_to_codes(const KernelTable& table, Epilogue epilogue, int n_out, int n_in,
                                  int n_rows, Random& random) {
  const Packed packed = pack(random_matrix(TensorType::Q8_0, n_out, n_in, random), table.code_bias);
  const std::vector<float> bias(static_cast<size_t>(n_out), 0.25f);
  Activations a(n_rows, n_in, random), floats(n_rows, n_out, random), found(n_rows, n_out, random);
  const QuantizedRows x = a.quantize(table);
  const auto x_stride = static_cast<size_t>(a.stride);
  MatmulArgs args = {packed.matrix,      a.values.data(), x_stride, x,       n_rows, 0,
                     panel_count(n_out), bias.data(),     epilogue, nullptr, 0};
  args.out = floats.values.data();
  args.out_stride = static_cast<size_t>(floats.stride);
  table.matmul(args);
  const QuantizedRows expected = floats.quantize(table);

  args.out = nullptr;
  args.out_codes = found.quantized(expected.tile);
  const int middle = 2 * (panel_count(n_out) / 3);
  for (const auto& [first, last] : {std::pair{middle, panel_count(n_out)}, std::pair{0, middle}}) {
    args.first_panel = first;
    args.last_panel = last;
    table.matmul(args);
  }
  CHECK(found.codes == floats.codes);
  CHECK(found.scales == floats.scales);
  CHECK(found.sums == floats.sums);
  CHECK(found.starts8 == floats.starts8 && found.starts4 == floats.starts4);
  CHECK(found.scaled_sums == floats.scaled_sums);
}

// Types with scales of scales have no short naive form: the scalar table is their oracle, and their
// sum is checked against the dequantized weights.
inline void check_nested_type(const KernelTable& table, TensorType type, int n_out, int n_in,
                              int n_rows, Random& random) {
  const Matrix m = random_matrix(type, n_out, n_in, random);
  Activations a(n_rows, n_in, random);
  const auto stride = static_cast<size_t>(a.stride);
  std::vector<float> out[2];
  const KernelTable* tables[2] = {&table, &table_named("scalar")};
  for (int t = 0; t < 2; ++t) {
    const Packed packed = pack(m, tables[t]->code_bias);
    const QuantizedRows quantized = a.quantize(*tables[t]);
    out[t].resize(static_cast<size_t>(n_rows * padded(n_out)));
    MatmulArgs args = {packed.matrix,
                       a.values.data(),
                       stride,
                       quantized,
                       n_rows,
                       0,
                       panel_count(n_out),
                       nullptr,
                       Epilogue::kBias,
                       out[t].data(),
                       static_cast<size_t>(padded(n_out))};
    std::vector<uint8_t> scratch(matmul_scratch(n_in));
    if (t == 0 && n_rows % 2 == 0) args.scratch = scratch.data();
    tables[t]->matmul(args);
  }
  CHECK(out[0] == out[1]);
  const Packed packed = pack(m, table.code_bias);
  std::vector<float> w(static_cast<size_t>(n_in)), unpacked(w.size());
  for (int r = 0; r < n_out; ++r) {
    dequantize_row(type, m.row(r), w.data(), w.size());
    unpack_row(packed.matrix, r, unpacked.data());
    CHECK(unpacked == w);
    for (int i = 0; i < n_rows; ++i) {
      const Blocks q = quantize_naively(a.row(i));
      double sum = 0, size = 0;
      for (size_t k = 0; k < w.size(); ++k) {
        const double term = double{w[k]} * q.codes[k] * q.scales[k / 32];
        sum += term;
        size += std::fabs(term);
      }
      const double found = out[0][static_cast<size_t>(i * padded(n_out) + r)];
      CHECK(std::fabs(found - sum) <= 1e-6 * size);
    }
  }
}

inline void check_layer_norm(const KernelTable& table, int n, Random& random) {
  const auto size = static_cast<size_t>(padded(n));
  std::vector<float> x(size), gain(size), bias(size), out(size), scalar(size);
  for (auto* v : {&x, &gain, &bias}) {
    for (auto& value : *v) value = random.uniform(-3, 3);
  }
  const auto run = [&](const KernelTable& t, std::vector<float>& to) {
    t.layer_norm({x.data(), size, 1, n, gain.data(), bias.data(), 1e-5f, to.data(), size});
  };
  run(table, out);
  run(table_named("scalar"), scalar);
  CHECK(same_bits(out.data(), scalar.data(), n));
  double mean = 0, variance = 0;
  for (int i = 0; i < n; ++i) mean += x[static_cast<size_t>(i)];
  mean /= n;
  for (int i = 0; i < n; ++i) variance += std::pow(x[static_cast<size_t>(i)] - mean, 2);
  variance /= n;
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const double exact = (x[i] - mean) / std::sqrt(variance + 1e-5) * gain[i] + bias[i];
    CHECK(std::fabs(out[i] - exact) <= 1e-5);
  }
}

// Every head's part of a row, rounded as an int8 cache rounds it: 127 steps up to the largest.
inline std::vector<float> rounded_to_int8(std::vector<float> qkv, size_t d) {
  for (size_t first = 0; first + d <= qkv.size(); first += d) {
    float largest = 0;
    for (size_t i = first; i < first + d; ++i) largest = std::max(largest, std::fabs(qkv[i]));
    for (size_t i = first; i < first + d; ++i) {
      qkv[i] = std::nearbyintf(qkv[i] * (127.0f / largest)) * (largest / 127.0f);
    }
  }
  return qkv;
}

inline void check_attention(const KernelTable& table, CacheType type, int d_head, int n,
                            Random& random) {
  const auto stride = static_cast<size_t>(3 * d_head);
  std::vector<float> qkv(stride * static_cast<size_t>(n) + 16);  // and what vectors overrun
  // Wide heads of one sign have the largest sums.
  for (auto& v : qkv) v = d_head > 128 ? random.uniform(0.25f, 0.5f) : random.uniform(-2, 2);
  const auto d = static_cast<size_t>(d_head), rows = static_cast<size_t>(n);
  std::vector<float> scratch(attention_scratch(rows, d));
  const auto run = [&](const KernelTable& t, int chunk, float* weights = nullptr) {
    Cache cache(type, d_head, n);
    std::vector<float> out(rows * d);
    for (int first = 0; first < n; first += chunk) {
      const int count = std::min(chunk, n - first);
      const float* query = qkv.data() + stride * static_cast<size_t>(first);
      t.append({cache.head, query + d, query + 2 * d, stride, count, first});
      AttentionArgs args = {cache.head,
                            query,
                            stride,
                            count,
                            first,
                            scratch.data(),
                            out.data() + d * static_cast<size_t>(first),
                            d};
      if (weights != nullptr) args.weights = weights + rows * static_cast<size_t>(first);
      args.weights_stride = rows;
      t.attention(args);
    }
    return out;
  };
  const std::vector<float> whole = run(table, n);
  CHECK(whole == run(table, 1));
  CHECK(whole == run(table, 7));
  CHECK(whole == run(table_named("scalar"), n));
  const std::vector<float> expected = weights_naively(type, qkv, d_head, n);
  for (const int chunk : {n, 1, 7}) {
    std::vector<float> weights(rows * rows, -1.0f);
    CHECK(whole == run(table, chunk, weights.data()));
    CHECK(weights == expected);
  }

  // What rounding is left: of the cache for f16 and int16; of the softmax's weights, to 127 steps
  // up to the largest of 32, for int8.
  const double tolerance = type == CacheType::kF32     ? 2e-6
                           : type == CacheType::kF16   ? 4e-3
                           : type == CacheType::kInt16 ? 2e-3
                                                       : 4e-2;
  double errors = 0;
  if (type == CacheType::kInt8) qkv = rounded_to_int8(std::move(qkv), d);
  for (size_t i = 0; i < rows; i += 5) {
    std::vector<double> weight(i + 1);
    double total = 0;
    for (size_t j = 0; j <= i; ++j) {
      double score = 0;
      for (size_t k = 0; k < d; ++k) score += double{qkv[stride * i + k]} * qkv[stride * j + d + k];
      weight[j] = std::exp(score / std::sqrt(static_cast<double>(d_head)));
      total += weight[j];
    }
    for (size_t k = 0; k < d; ++k) {
      double exact = 0;
      for (size_t j = 0; j <= i; ++j) exact += weight[j] / total * qkv[stride * j + 2 * d + k];
      const double error = std::fabs(whole[d * i + k] - exact);
      CHECK(error <= tolerance);
      errors += error;
    }
  }
  CHECK(errors <= tolerance / 5 * static_cast<double>((rows + 4) / 5 * d));
}

// One query of several heads at once is that of each head alone.
inline void check_heads(const KernelTable& table, CacheType type, int d_head, int n, int n_heads,
                        Random& random) {
  const auto d = static_cast<size_t>(d_head), rows = static_cast<size_t>(n);
  const auto heads = static_cast<size_t>(n_heads);
  const size_t width = d * heads, stride = 3 * width;
  std::vector<float> qkv(stride * rows + 16);
  for (auto& v : qkv) v = random.uniform(-2, 2);
  Cache cache(type, d_head, n, heads);
  for (size_t i = 0; i < heads; ++i) {
    const float* keys = qkv.data() + width + d * i;
    table.append({head_behind(cache.head, i), keys, keys + width, stride, n, 0});
  }
  std::vector<float> scratch(attention_scratch(rows, d)), alone(width), together(width, -1.0f);
  const float* query = qkv.data() + stride * (rows - 1);
  const auto args = [&](size_t head, std::vector<float>& out) {
    return AttentionArgs{head_behind(cache.head, head),
                         query + d * head,
                         stride,
                         1,
                         n - 1,
                         scratch.data(),
                         out.data() + d * head,
                         width};
  };
  for (size_t i = 0; i < heads; ++i) table.attention(args(i, alone));
  AttentionArgs all = args(0, together);
  all.n_heads = n_heads;
  table.attention(all);
  CHECK(together == alone);
}

}  // namespace gpt2edge::test
