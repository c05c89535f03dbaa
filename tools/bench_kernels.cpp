// Times the matmul kernels alone, over the shapes of the four released models: one row (decoding),
// a few, and many (a prompt).
//
//   cmake -G Ninja -S . -B build -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_TOOLS=ON && cmake --build build
//   build/tools/bench_kernels [THREADS] [ROWS...]
//
// Prints, per form of weights and width, the bytes of weights read and the multiply-adds done per
// second: medians of 9. Weights take 300 MB for few rows, so that they come from memory, and 30 MB
// for many. The last column is the share of what bounds them, measured at the start: the machine's
// read bandwidth for few rows, its int8 multiply-adds for many. GPT2EDGE_ISA forces a table.
// Correctness is checked by tests/cpp/test_kernels.cpp, on the same functions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_info.h"
#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "kernels/limits.h"

namespace {

using namespace gpt2edge;
using namespace gpt2edge::kernels;

double seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// Codes of any bits, and scales that are ordinary numbers.
AlignedBuffer draw_weights(const PanelLayout& layout, int n_panels) {
  AlignedBuffer weights(layout.panel_bytes * static_cast<size_t>(n_panels));
  for (size_t i = 0; i + 4 <= weights.size(); i += 4) {
    const uint32_t bits = static_cast<uint32_t>(i) * 2654435761u >> 3;
    std::memcpy(weights.data() + i, &bits, sizeof bits);
  }
  const uint16_t scale = 0x2000;  // 2^-7
  for (size_t unit = 0; unit < weights.size(); unit += layout.unit_bytes) {
    for (size_t i = 0; i < layout.codes_offset; i += 2) {
      std::memcpy(weights.data() + unit + i, &scale, sizeof scale);
    }
  }
  return weights;
}

// Rows of activations and room for what the kernels make of them.
struct Activations {
  Activations(const KernelTable& kernels, int n_rows, int n_in)
      : values(size(n_rows, n_in) * 4),
        codes(size(n_rows, n_in)),
        scales(size(n_rows, n_in) / 8),
        sums(size(n_rows, n_in) / 4),
        starts8(scales.size()),
        starts4(scales.size()) {
    quantized = {kernels.max_tokens, codes.as<int8_t>(),    scales.as<float>(),
                 sums.as<int32_t>(), starts8.as<int32_t>(), starts4.as<int32_t>()};
    for (size_t i = 0; i < size(n_rows, n_in); ++i) {
      values.as<float>()[i] = static_cast<float>(i % 37) - 18.0f;
    }
    const auto stride = static_cast<size_t>(n_in);
    for (int first = 0; first < n_rows; first += quantized.tile) {
      kernels.quantize_tile({values.as<float>() + stride * static_cast<size_t>(first), stride,
                             std::min(quantized.tile, n_rows - first), n_in, first, quantized});
    }
  }
  static size_t size(int n_rows, int n_in) { return static_cast<size_t>(n_rows) * n_in; }

  AlignedBuffer values, codes, scales, sums, starts8, starts4;
  QuantizedRows quantized;
};

void bench(ThreadPool& pool, const MachineLimits& limits, WeightForm form, const char* name,
           int n_in, int n_rows) {
  const KernelTable& kernels = default_table();
  const PanelLayout layout = panel_layout(form, n_in);
  const size_t target = n_rows > 16 ? size_t{30} << 20 : size_t{300} << 20;
  const int n_panels = static_cast<int>(target / layout.panel_bytes);
  const AlignedBuffer weights = draw_weights(layout, n_panels);
  const Activations x(kernels, n_rows, n_in);
  const int n_out = n_panels * kPanelRows;
  AlignedBuffer out(Activations::size(n_rows, n_out) * sizeof(float));

  MatmulArgs args{};
  args.weights = {layout, reinterpret_cast<const uint8_t*>(weights.data()), n_out,
                  kernels.code_bias};
  args.quantized = x.quantized;
  args.n_rows = n_rows;
  args.out = out.as<float>();
  args.out_stride = static_cast<size_t>(n_out);
  const int share = n_rows > 16 ? 1 : std::max(1, n_panels / (pool.n_threads() * 32));
  std::vector<double> times;
  for (int round = 0; round < 9; ++round) {
    const double start = seconds();
    pool.run((n_panels + share - 1) / share, [&](int item, int) {
      MatmulArgs part = args;
      part.first_panel = item * share;
      part.last_panel = std::min(n_panels, part.first_panel + share);
      kernels.matmul(part);
    });
    times.push_back(seconds() - start);
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  const double gb_s = static_cast<double>(weights.size()) / median / 1e9;
  const double gmac_s = static_cast<double>(n_out) * n_in * n_rows / median / 1e9;
  const double of_limit = n_rows > 16 ? gmac_s / limits.int8_gmac_s : gb_s / limits.read_gb_s;
  std::printf("%-5s %6d %6d %10.1f %10.1f %9.0f%%\n", name, n_in, n_rows, gb_s, gmac_s,
              100 * of_limit);
}

}  // namespace

int main(int argc, char** argv) {
  const int n_threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : default_thread_count();
  std::vector<int> rows;
  for (int i = 2; i < argc; ++i) rows.push_back(std::max(1, std::atoi(argv[i])));
  if (rows.empty()) rows = {1, 4, 8, 256};
  ThreadPool pool(n_threads);
  const MachineLimits limits = measure_limits(default_table(), pool);
  const ThreadPool::Lease lease(pool);
  std::printf("%s, %s, %d threads: reads %.1f GB/s, multiplies %.0f GMAC/s\n", cpu_name().c_str(),
              default_table().name, n_threads, limits.read_gb_s, limits.int8_gmac_s);
  std::printf("%-5s %6s %6s %10s %10s %10s\n", "form", "n_in", "rows", "GB/s", "GMAC/s", "share");
  for (const int n_rows : rows) {
    for (const int n_in : {768, 1024, 1280, 1600, 3072, 6400}) {
      bench(pool, limits, WeightForm::kInt8, "int8", n_in, n_rows);
      bench(pool, limits, WeightForm::kInt4, "int4", n_in, n_rows);
    }
  }
}
