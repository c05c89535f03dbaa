// Every kernel table this machine can run, against naive loops that know nothing of panels, lanes
// or tiles: the same bits, over awkward shapes and tails.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/cpu_info.h"
#include "base/half.h"
#include "check.h"
#include "formats/dequantize.h"
#include "kernels/dispatch.h"

#if defined(GPT2EDGE_EVEX_VNNI)
namespace gpt2edge::kernels {
extern const KernelTable table_avx_vnni_as_evex;
}
#endif

namespace {

using namespace gpt2edge;
using namespace gpt2edge::kernels;

std::mt19937 generator(20);

float uniform(float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(generator);
}

int padded(int n) { return (n + 15) / 16 * 16; }

bool same_bits(const float* a, const float* b, int n) {
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

// Where a block has its half floats, which must be ordinary numbers.
std::vector<size_t> half_offsets(TensorType type) {
  switch (type) {
    case TensorType::Q4_1:
    case TensorType::Q5_1:
    case TensorType::Q4_K:
    case TensorType::Q5_K:
      return {0, 2};
    case TensorType::Q2_K:
      return {80, 82};
    case TensorType::Q3_K:
      return {108};
    case TensorType::Q6_K:
      return {208};
    case TensorType::TQ1_0:
      return {52};
    case TensorType::TQ2_0:
      return {64};
    case TensorType::IQ1_M:
    case TensorType::MXFP4:
    case TensorType::NVFP4:
      return {};
    default:
      return {0};
  }
}

// And what else is not a code.
void draw_other_scales(TensorType type, std::byte* block) {
  if (type == TensorType::MXFP4) block[0] = static_cast<std::byte>(118 + generator() % 8);
  if (type != TensorType::IQ1_M) return;
  const uint16_t d = float_to_half(uniform(-2, 2) * 0.02f);
  for (int part = 0; part < 4; ++part) {  // four bits each, the top ones of every other byte
    std::byte& high = block[49 + 2 * part];
    high = (high & std::byte{15}) | static_cast<std::byte>((d >> 4 * part & 15) << 4);
  }
}

Matrix random_matrix(TensorType type, int n_out, int n_in) {
  Matrix m{type, n_out, n_in, {}};
  m.bytes.resize(m.row_size() * static_cast<size_t>(n_out));
  if (type == TensorType::F32) {
    for (size_t i = 0; i < m.bytes.size(); i += 4) {
      const float x = uniform(-2, 2);
      std::memcpy(&m.bytes[i], &x, 4);
    }
    return m;
  }
  // Any bits are codes; scales are drawn.
  for (auto& byte : m.bytes) byte = static_cast<std::byte>(generator() & 0xFF);
  const TypeTraits& traits = *type_traits(static_cast<uint32_t>(type));
  const bool is_half = traits.block_size == 1;
  const auto step = static_cast<size_t>(traits.block_bytes);
  for (size_t i = 0; i < m.bytes.size(); i += step) {
    for (const size_t offset : half_offsets(type)) {
      const float x = uniform(-2, 2) * (is_half ? 1.0f : 0.02f);
      const uint16_t bits = type == TensorType::BF16 ? float_to_bfloat16(x) : float_to_half(x);
      std::memcpy(&m.bytes[i + offset], &bits, 2);
    }
    draw_other_scales(type, &m.bytes[i]);
  }
  return m;
}

struct Packed {
  std::vector<uint8_t> storage;
  PackedMatrix matrix;
};

Packed pack(const Matrix& m, int code_bias) {
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
Blocks quantize_naively(const std::vector<float>& x) {
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

uint16_t half_at(const std::byte* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

int byte_at(const std::byte* p) { return static_cast<int>(*p); }

DecodedBlock decode_simple(TensorType type, const std::byte* block) {
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
float dot_naively(const Matrix& m, int r, const std::vector<float>& x, const Blocks& q) {
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

// ---- the tests ----

struct Activations {
  int n_rows, n_in, stride;
  std::vector<float> values;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums, starts8, starts4;
  std::vector<float> scaled_sums;

  Activations(int rows, int n)
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
    for (auto& v : values) v = uniform(-1, 1) * (generator() % 50 == 0 ? 40.0f : 1.0f);
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

// A tile whose inputs become codes a few blocks at a time is the same as one of all at once.
void check_quantized_in_parts(const KernelTable& table, const Activations& whole) {
  Activations parts(whole.n_rows, whole.n_in);
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

void test_quantize_tile(const KernelTable& table) {
  for (const int n_in : {32, 96, 768, 1600}) {
    for (int width = 1; width <= table.max_tokens; ++width) {
      Activations a(width, n_in);
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
          if (table.code_bias != 0)
            CHECK(found.starts8[at] == -table.code_bias * (sum[0] + sum[1]));
          CHECK(found.starts4[at] == -8 * (sum[0] + sum[1]));
          CHECK(found.scaled_sums[at] == static_cast<float>(sum[0] + sum[1]) * found.scales[at]);
          sum[0] = sum[1] = 0;
        }
      }
      check_quantized_in_parts(table, a);
    }
  }
}

void test_matmul(const KernelTable& table, TensorType type, int n_out, int n_in, int n_rows) {
  const Matrix m = random_matrix(type, n_out, n_in);
  const Packed packed = pack(m, table.code_bias);
  Activations a(n_rows, n_in);
  const bool integers = !is_float(form_of(type));
  const auto stride = static_cast<size_t>(a.stride);
  const QuantizedRows quantized = integers ? a.quantize(table) : QuantizedRows{};
  const auto columns = static_cast<size_t>(padded(n_out));
  std::vector<float> bias(columns), out(static_cast<size_t>(n_rows) * columns, 7.0f);
  for (int i = 0; i < n_out; ++i) bias[static_cast<size_t>(i)] = uniform(-1, 1);
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

void test_matmuls(const KernelTable& table) {
  using enum TensorType;
  for (const TensorType type : {F32, F16, BF16}) {
    for (const int n_rows : {1, 2, 3, 5, 8, 9}) test_matmul(table, type, 33, 50, n_rows);
  }
  for (const TensorType type : {Q8_0, Q4_0, Q5_0, Q4_1, Q5_1, IQ4_NL}) {
    for (const int n_rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17, 18}) {
      test_matmul(table, type, 40, 96, n_rows);
    }
    test_matmul(table, type, 16, 1600, 3);
    test_matmul(table, type, 48, 1600, 18);
    test_matmul(table, type, 72, 160, 31);
    test_matmul(table, type, 32, 64, 134);
    test_matmul(table, type, 72, 160, 32);
  }
}

// Outputs as codes are what quantizing the outputs as floats gives, whichever panels a call takes.
void test_matmul_to_codes(const KernelTable& table, Epilogue epilogue) {
  const int n_in = 64, n_out = 96;
  const Packed packed = pack(random_matrix(TensorType::Q8_0, n_out, n_in), table.code_bias);
  const std::vector<float> bias(static_cast<size_t>(n_out), 0.25f);
  for (const int n_rows : {1, 2, 7, 13}) {
    Activations a(n_rows, n_in), floats(n_rows, n_out), found(n_rows, n_out);
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
    for (const auto& [first, last] : {std::pair{4, 6}, std::pair{0, 4}}) {
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
}

// Of every 32 outputs the greatest, or NaN where one is not finite.
void test_maxima(const KernelTable& table) {
  const int n_in = 64, n_out = 70;
  const Packed packed = pack(random_matrix(TensorType::Q4_0, n_out, n_in), table.code_bias);
  for (const float odd : {0.5f, NAN, INFINITY, -INFINITY}) {
    std::vector<float> bias(static_cast<size_t>(padded(n_out)));
    bias[40] = odd;
    for (const int n_rows : {1, 7, 13}) {
      Activations a(n_rows, n_in), out(n_rows, padded(n_out));
      std::vector<float> maxima(static_cast<size_t>(3 * n_rows));
      MatmulArgs args{};
      args.weights = packed.matrix;
      args.quantized = a.quantize(table);
      args.n_rows = n_rows;
      args.last_panel = panel_count(n_out);
      args.bias = bias.data();
      args.out = out.values.data();
      args.out_stride = static_cast<size_t>(out.stride);
      args.maxima = maxima.data();
      args.maxima_stride = 3;
      table.matmul(args);
      for (int i = 0; i < n_rows; ++i) {
        const std::vector<float> row = out.row(i);
        const float* found = &maxima[static_cast<size_t>(3 * i)];
        CHECK(found[0] == *std::max_element(row.begin(), row.begin() + 32));
        if (std::isfinite(odd)) {
          CHECK(found[1] == *std::max_element(row.begin() + 32, row.begin() + 64));
        } else {
          CHECK(std::isnan(found[1]));
        }
      }
    }
  }
}

// Types with scales of scales have no short naive form: the scalar table is their oracle, and their
// sum is checked against the dequantized weights.
void test_nested_types(const KernelTable& table, int n_rows) {
  using enum TensorType;
  for (const TensorType type : {Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S,
                                IQ3_XXS, IQ3_S, IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, Q2_0}) {
    // Blocks of 32 may be odd in number.
    const int n_in = type == MXFP4 ? 96 : type == NVFP4 || type == Q2_0 ? 192 : 512, n_out = 40;
    const Matrix m = random_matrix(type, n_out, n_in);
    Activations a(n_rows, n_in);
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
                         3,
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
}

constexpr Epilogue kActivations[] = {Epilogue::kGeluTanh, Epilogue::kGeluErf, Epilogue::kQuickGelu,
                                     Epilogue::kSilu,     Epilogue::kRelu,    Epilogue::kTanh};

double activation_naively(Epilogue epilogue, double v) {
  const double root_2_over_pi = 0.7978845608028654;
  switch (epilogue) {
    case Epilogue::kGeluTanh:
      return 0.5 * v * (1 + std::tanh(root_2_over_pi * (v + 0.044715 * v * v * v)));
    case Epilogue::kGeluErf:
      return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    case Epilogue::kQuickGelu:
      return v / (1 + std::exp(-1.702 * v));
    case Epilogue::kSilu:
      return v / (1 + std::exp(-v));
    case Epilogue::kRelu:
      return std::max(v, 0.0);
    case Epilogue::kTanh:
      return std::tanh(v);
    default:
      return v;
  }
}

// A number that is none stays none: an activation function may not hide a damaged model.
void test_numbers_that_are_none(const KernelTable& table) {
  Matrix zeros{TensorType::F32, 16, 16, {}};
  zeros.bytes.resize(size_t{16} * 16 * 4);
  const Packed packed = pack(zeros, table.code_bias);
  const std::vector<float> x(16), bias(16, NAN);
  for (const Epilogue epilogue : kActivations) {
    std::vector<float> out(16);
    table.matmul({packed.matrix, x.data(), 16, {}, 1, 0, 1, bias.data(), epilogue, out.data(), 16});
    for (const float v : out) CHECK(std::isnan(v));
  }
}

// Epilogues and layer norm: within rounding of the formulas in double, and the bits of scalar.
void test_elementary(const KernelTable& table) {
  const int n = 160;
  Matrix identity{TensorType::F32, n, n, {}};
  identity.bytes.resize(static_cast<size_t>(n) * n * 4);
  const float one = 1.0f;
  for (int i = 0; i < n; ++i) {
    std::memcpy(&identity.bytes[static_cast<size_t>(i * n + i) * 4], &one, 4);
  }
  std::vector<float> x(n);
  for (int i = 0; i < n; ++i) x[static_cast<size_t>(i)] = static_cast<float>(i - n / 2) / 8.0f;
  for (const Epilogue epilogue : kActivations) {
    std::vector<float> out[2];
    const KernelTable* tables[2] = {&table, &table_named("scalar")};
    for (int t = 0; t < 2; ++t) {
      const Packed packed = pack(identity, tables[t]->code_bias);
      out[t].resize(n);
      tables[t]->matmul({packed.matrix,
                         x.data(),
                         size_t{n},
                         {},
                         1,
                         0,
                         n / 16,
                         nullptr,
                         epilogue,
                         out[t].data(),
                         size_t{n}});
    }
    CHECK(same_bits(out[0].data(), out[1].data(), n));
    for (int i = 0; i < n; ++i) {
      const double v = x[static_cast<size_t>(i)];
      CHECK(std::fabs(out[0][static_cast<size_t>(i)] - activation_naively(epilogue, v)) <=
            4e-7 * std::max(1.0, std::fabs(v)));
    }
  }
}

void test_layer_norm(const KernelTable& table) {
  for (const int n : {16, 50, 768, 1600}) {
    const auto size = static_cast<size_t>(padded(n));
    std::vector<float> x(size), gain(size), bias(size), out(size), scalar(size);
    for (auto* v : {&x, &gain, &bias}) {
      for (auto& value : *v) value = uniform(-3, 3);
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
}

// One head's pages, somewhere in memory and in no order.
struct Cache {
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> pages;
  HeadCache head;
  Cache(CacheType type, int d_head, int n_ctx) {
    const size_t number = type == CacheType::kF32 ? 4 : type == CacheType::kF16 ? 2 : 1;
    const size_t numbers = static_cast<size_t>(kPagePositions * padded(d_head)) * number;
    const size_t scales = kPagePositions * sizeof(float), before = 64;
    const int n_pages = (n_ctx + kPagePositions - 1) / kPagePositions;
    for (int i = 0; i < n_pages; ++i) memory.emplace_back(before + 2 * numbers + 2 * scales);
    for (auto page = memory.rbegin(); page != memory.rend(); ++page) pages.push_back(page->data());
    head = {
        pages.data(), before, before + numbers, before + 2 * numbers, before + 2 * numbers + scales,
        d_head,       type};
  }
};

// Every head's part of a row, rounded as an int8 cache rounds it: 127 steps up to the largest.
std::vector<float> rounded_to_int8(std::vector<float> qkv, size_t d) {
  for (size_t first = 0; first + d <= qkv.size(); first += d) {
    float largest = 0;
    for (size_t i = first; i < first + d; ++i) largest = std::max(largest, std::fabs(qkv[i]));
    for (size_t i = first; i < first + d; ++i) {
      qkv[i] = std::nearbyintf(qkv[i] * (127.0f / largest)) * (largest / 127.0f);
    }
  }
  return qkv;
}

// e^x as the kernels define it, for one number.
float exponential_naively(float x) {
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

// A query's score with one key, from what a cache of this type keeps of it.
float score_naively(CacheType type, const float* query, const float* key, int d) {
  const float root = std::sqrt(static_cast<float>(d));
  if (type != CacheType::kInt8) {
    float sum = 0;
    for (int k = 0; k < d; ++k) {
      const bool is_f16 = type == CacheType::kF16;
      sum = std::fmaf(is_f16 ? half_to_float(float_to_half(key[k])) : key[k], query[k], sum);
    }
    return sum * (1.0f / root);
  }
  float largest[2] = {};
  for (int k = 0; k < d; ++k) {
    largest[0] = std::max(largest[0], std::fabs(query[k]));
    largest[1] = std::max(largest[1], std::fabs(key[k]));
  }
  int sum = 0;
  for (int k = 0; k < d; ++k) {
    sum += static_cast<int>(std::nearbyintf(query[k] * (127.0f / largest[0]))) *
           static_cast<int>(std::nearbyintf(key[k] * (127.0f / largest[1])));
  }
  return static_cast<float>(sum) * (largest[1] / 127.0f * (largest[0] / 127.0f / root));
}

// The weights that the softmax makes of scores, which add up in 16 lanes.
std::vector<float> softmax_naively(std::vector<float> x) {
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
std::vector<float> weights_naively(CacheType type, const std::vector<float>& qkv, int d_head,
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

void test_attention(const KernelTable& table, CacheType type, int d_head, int n) {
  const auto stride = static_cast<size_t>(3 * d_head);
  std::vector<float> qkv(stride * static_cast<size_t>(n) + 16);  // and what vectors overrun
  // Wide heads of one sign have the largest sums.
  for (auto& v : qkv) v = d_head > 128 ? uniform(0.25f, 0.5f) : uniform(-2, 2);
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

  // What rounding is left: of the cache for f16; of the softmax's weights, to 127 steps up to the
  // largest of 32, for int8.
  const double tolerance = type == CacheType::kF32 ? 2e-6 : type == CacheType::kF16 ? 4e-3 : 4e-2;
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

void test_limits(const KernelTable& table) {
  for (const int rounds : {1, 1000, 1 << 17}) {
    CHECK(table.multiply_codes(rounds) == 4 * rounds);
  }
  std::vector<float> x(640);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
  double sum = 0;
  for (const float v : x) sum += v;
  for (const bool prefetch : {false, true}) {
    CHECK(table.sum_floats(x.data(), x.size(), prefetch) == sum);
  }
}

void test_dispatch() {
  CHECK(std::string(available_tables().back()->name) == "scalar");
  bool refused = false;
  try {
    table_named("no such set");
  } catch (const std::invalid_argument& error) {
    refused = std::string(error.what()).find("scalar") != std::string::npos;
  }
  CHECK(refused);
  const char* forced = std::getenv("GPT2EDGE_ISA");
  if (forced != nullptr) CHECK(std::string(default_table().name) == forced);
}

std::vector<const KernelTable*> tables_to_test() {
  std::vector<const KernelTable*> tables = available_tables();
#if defined(GPT2EDGE_EVEX_VNNI)
  if (cpu_features().avx512_vnni) tables.push_back(&table_avx_vnni_as_evex);
#endif
  return tables;
}

}  // namespace

// With an argument it only names the kernels that this processor runs, the one it chooses first.
int main(int n_arguments, char**) {
  test_dispatch();
  for (const KernelTable* table : tables_to_test()) {
    std::printf("%s\n", table->name);
    if (n_arguments > 1) continue;
    test_quantize_tile(*table);
    test_matmuls(*table);
    test_matmul_to_codes(*table, Epilogue::kBias);
    for (const Epilogue epilogue : kActivations) test_matmul_to_codes(*table, epilogue);
    test_maxima(*table);
    for (const int n_rows : {1, 5, 13, 32, 38}) test_nested_types(*table, n_rows);
    test_elementary(*table);
    test_numbers_that_are_none(*table);
    test_layer_norm(*table);
    test_limits(*table);
    for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
      for (const int d_head : {64, 80, 20, 640}) {
        for (const int n : {1, 16, 37, 130}) test_attention(*table, type, d_head, n);
      }
    }
  }
  return check::done();
}
