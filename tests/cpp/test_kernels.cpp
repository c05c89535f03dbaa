// Every kernel table this machine can run, against naive loops that know nothing of panels, lanes
// or tiles: the same bits, over awkward shapes and tails.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_info.h"
#include "check.h"
#include "kernel_checks.h"
#include "kernels/dispatch.h"

#if defined(GPT2EDGE_EVEX_VNNI)
namespace gpt2edge::kernels {
extern const KernelTable table_avx_vnni_as_evex;
}
#endif

namespace gpt2edge::test {
namespace {

Random generator(20);

void test_quantize_tile(const KernelTable& table) {
  for (const int n_in : {32, 96, 768, 1600}) {
    for (int width = 1; width <= table.max_tokens; ++width) {
      check_quantize_tile(table, n_in, width, generator);
    }
  }
}

void test_matmuls(const KernelTable& table) {
  using enum TensorType;
  for (const TensorType type : {F32, F16, BF16}) {
    for (const int n_rows : {1, 2, 3, 5, 8, 9})
      check_matmul(table, type, 33, 50, n_rows, generator);
  }
  for (const TensorType type : kSimpleTypes) {
    for (const int n_rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17, 18}) {
      if (check::is_quick() && n_rows % 4 > 1) continue;
      check_matmul(table, type, 40, 96, n_rows, generator);
    }
    check_matmul(table, type, 16, 1600, 3, generator);
    check_matmul(table, type, 48, 1600, 18, generator);
    check_matmul(table, type, 72, 160, 31, generator);
    check_matmul(table, type, 32, 64, 134, generator);
    check_matmul(table, type, 72, 160, 32, generator);
  }
}

// Of every 32 outputs the greatest, or NaN where one is not finite.
void test_maxima(const KernelTable& table) {
  const int n_in = 64, n_out = 70;
  const Packed packed =
      pack(random_matrix(TensorType::Q4_0, n_out, n_in, generator), table.code_bias);
  for (const float odd : {0.5f, NAN, INFINITY, -INFINITY}) {
    std::vector<float> bias(static_cast<size_t>(padded(n_out)));
    bias[40] = odd;
    for (const int n_rows : {1, 7, 13}) {
      Activations a(n_rows, n_in, generator), out(n_rows, padded(n_out), generator);
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

void test_nested_types(const KernelTable& table, int n_rows) {
  using enum TensorType;
  for (const TensorType type : kNestedTypes) {
    // Blocks of 32 may be odd in number.
    const int n_in = type == MXFP4 ? 96 : type == NVFP4 || type == Q2_0 ? 192 : 512;
    check_nested_type(table, type, 40, n_in, n_rows, generator);
  }
}

constexpr Epilogue kActivations[] = {Epilogue::kGeluTanh, Epilogue::kGeluErf, Epilogue::kQuickGelu,
                                     Epilogue::kSilu,     Epilogue::kRelu,    Epilogue::kTanh};

void test_matmul_to_codes(const KernelTable& table, Epilogue epilogue) {
  for (const int n_rows : {1, 2, 7, 13}) {
    check_matmul_to_codes(table, epilogue, 96, 64, n_rows, generator);
  }
}

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

// Epilogues: within rounding of the formulas in double, and the bits of scalar.
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
}  // namespace gpt2edge::test

// With an argument it only names the kernels that this processor runs, the one it chooses first.
int main(int n_arguments, char**) {
  using namespace gpt2edge::test;
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
    for (const int n : {16, 50, 768, 1600}) check_layer_norm(*table, n, generator);
    test_limits(*table);
    for (const CacheType type :
         {CacheType::kF32, CacheType::kF16, CacheType::kInt8, CacheType::kInt16}) {
      for (const int d_head : {64, 80, 20, 640}) {
        const int longest = check::is_quick() && d_head > 64 ? 37 : 130;
        for (const int n : {1, 16, 37, 130}) {
          if (n <= longest) check_attention(*table, type, d_head, n, generator);
        }
        check_heads(*table, type, d_head, 63, 2, generator);
        check_heads(*table, type, d_head, longest, kMaxQueryTile, generator);
      }
    }
  }
  return check::done();
}
