// Times every kernel alone, over the shapes of the four released models: for one row (decoding), a
// few, and many (a prompt).
//
//   cmake -G Ninja -S . -B build -DGPT2EDGE_PYTHON=OFF -DGPT2EDGE_TOOLS=ON && cmake --build build
//   build/tools/bench_kernels [THREADS] [ROWS...]
//
// Prints, per kernel and width, the bytes of weights, cache or activations read and the
// multiply-adds done per second: medians of 9. Few rows read 300 MB of weights or 100 MB of cache,
// so that they come from memory; many rows read 30 MB of weights, time after time, or a cache of
// 512 positions. The last column is the share of what bounds them, measured at the start: the
// machine's read bandwidth for few rows and for the kernels that multiply nothing, its int8
// multiply-adds for many rows (also where the numbers are floats, of which a register holds a
// quarter as many). "fill" stores rows of keys and values in the cache. GPT2EDGE_ISA forces a
// table. Correctness is checked by tests/cpp/test_kernels.cpp, on the same functions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_info.h"
#include "base/thread_count.h"
#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "kernels/limits.h"

namespace {

using namespace gpt2edge;
using namespace gpt2edge::kernels;

constexpr int kManyRows = 17;  // from so many on, arithmetic bounds a matmul
constexpr int kHeadWidth = 64;

struct Bench {
  ThreadPool& pool;
  MachineLimits limits;
  const KernelTable& kernels = default_table();

  // Calls run(item) for every item on all threads, nine times, and prints a line.
  void line(const char* kernel, int width, int n_rows, int n_items, double bytes, double mac,
            const std::function<void(int item, int thread)>& run) const {
    std::vector<double> times;
    for (int round = 0; round < 9; ++round) {
      const auto start = std::chrono::steady_clock::now();
      pool.run(n_items, [&](int item, int thread) { run(item, thread); });
      times.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    const double gb_s = bytes / times[4] / 1e9, gmac_s = mac / times[4] / 1e9;
    const double share =
        mac > 0 && n_rows >= kManyRows ? gmac_s / limits.int8_gmac_s : gb_s / limits.read_gb_s;
    std::printf("%-18s %6d %6d %10.1f %10.1f %9.0f%%\n", kernel, width, n_rows, gb_s, gmac_s,
                100 * share);
  }
};

void fill(AlignedBuffer& floats) {
  for (size_t i = 0; i < floats.size() / 4; ++i) {
    floats.as<float>()[i] = static_cast<float>(i % 37) - 18.0f;
  }
}

size_t product(int a, int b) { return static_cast<size_t>(a) * static_cast<size_t>(b); }

// Bits of any kind as codes, and scales that are ordinary numbers; floats of 16 bits likewise.
AlignedBuffer draw_weights(const PanelLayout& layout, int n_panels) {
  AlignedBuffer weights(layout.panel_bytes * static_cast<size_t>(n_panels));
  const uint16_t scale = 0x2000;  // 2^-7 as f16
  for (size_t i = 0; i + 4 <= weights.size(); i += 4) {
    const uint32_t bits = static_cast<uint32_t>(i) * 2654435761u >> 3;
    const bool ordinary = is_float(layout.form) || i % layout.unit_bytes < layout.codes_offset;
    const uint32_t value = ordinary ? uint32_t{scale} << 16 | scale : bits;
    std::memcpy(weights.data() + i, &value, sizeof value);
  }
  return weights;
}

// Rows of activations and room for what the kernels make of them.
struct Activations {
  Activations(const KernelTable& kernels, int rows, int n)
      : n_rows(rows),
        n_in(n),
        values(product(rows, n) * 4),
        codes(product(rows, n) + 4),
        scales(product(rows, n) / 8),
        sums(product(rows, n) / 4),
        starts8(scales.size()),
        starts4(scales.size()),
        scaled_sums(scales.size()) {
    quantized = {kernels.max_tokens,     codes.as<int8_t>(),    scales.as<float>(),
                 sums.as<int32_t>(),     starts8.as<int32_t>(), starts4.as<int32_t>(),
                 scaled_sums.as<float>()};
    fill(values);
    for (int tile = 0; tile < n_tiles(); ++tile) quantize(kernels, tile);
  }
  int n_tiles() const { return (n_rows + quantized.tile - 1) / quantized.tile; }
  int tile_rows(int tile) const { return std::min(quantized.tile, n_rows - tile * quantized.tile); }
  const float* tile_values(int tile) const {
    return values.as<float>() + product(tile * quantized.tile, n_in);
  }
  void quantize(const KernelTable& kernels, int tile) const {
    kernels.quantize_tile({tile_values(tile), static_cast<size_t>(n_in), tile_rows(tile), n_in,
                           tile * quantized.tile, quantized});
  }

  int n_rows, n_in;
  AlignedBuffer values, codes, scales, sums, starts8, starts4, scaled_sums;
  QuantizedRows quantized;
};

void bench_matmul(const Bench& bench, TensorType type, const char* name, int n_in, int n_rows) {
  const PanelLayout layout = panel_layout(type, n_in);
  const size_t target = n_rows >= kManyRows ? size_t{30} << 20 : size_t{300} << 20;
  const int n_panels = static_cast<int>(target / layout.panel_bytes) / kBlockPanels * kBlockPanels;
  const AlignedBuffer weights = draw_weights(layout, n_panels);
  const Activations x(bench.kernels, n_rows, n_in);
  const int n_out = n_panels * kPanelRows;
  AlignedBuffer out(product(n_rows, n_out) * sizeof(float));

  MatmulArgs args{};
  args.weights = {layout, reinterpret_cast<const uint8_t*>(weights.data()), n_out,
                  bench.kernels.code_bias};
  args.values = x.values.as<float>();
  args.values_stride = static_cast<size_t>(n_in);
  args.quantized = x.quantized;
  args.n_rows = n_rows;
  args.out = out.as<float>();
  args.out_stride = static_cast<size_t>(n_out);
  const size_t scratch_bytes = matmul_scratch(n_in);
  AlignedBuffer scratch(scratch_bytes * static_cast<size_t>(bench.pool.n_threads()));
  const int n_blocks = n_panels / kBlockPanels;
  const int share = n_rows >= kManyRows ? 1 : std::max(1, n_blocks / (bench.pool.n_threads() * 32));
  bench.line(name, n_in, n_rows, (n_blocks + share - 1) / share,
             static_cast<double>(weights.size()),
             static_cast<double>(product(n_out, n_in)) * n_rows, [&](int item, int thread) {
               MatmulArgs part = args;
               part.scratch = scratch.as<uint8_t>() + scratch_bytes * static_cast<size_t>(thread);
               part.first_panel = item * share * kBlockPanels;
               part.last_panel = std::min(n_panels, part.first_panel + share * kBlockPanels);
               part.prefetch_stream = gains_by_prefetch();
               bench.kernels.matmul(part);
             });
}

// One query over a full context, or the second half of a prompt over what it sees. `width` is the
// model's, for the number of heads.
void bench_attention(const Bench& bench, CacheType type, const char* name, int width, int n_rows) {
  const int n_head = width / kHeadWidth;
  const bool many = n_rows >= kManyRows;
  const int n_pages = many ? (2 * n_rows + kPagePositions - 1) / kPagePositions : 16;
  const int n_ctx = n_pages * kPagePositions, first = n_ctx - n_rows;
  const HeadBytes head_parts = head_bytes(type, kHeadWidth);
  const size_t page_share = head_parts.keys + head_parts.values + 2 * head_parts.scales;
  const size_t bytes = page_share * static_cast<size_t>(n_pages);
  const int n_caches = many ? n_head : std::max(n_head, static_cast<int>((100 << 20) / bytes));
  const auto n = static_cast<size_t>(n_caches);
  AlignedBuffer cache(bytes * n);
  std::vector<std::byte*> pages;
  for (size_t i = 0; i < static_cast<size_t>(n_pages); ++i) {
    pages.push_back(cache.data() + page_share * n * i);
  }
  AlignedBuffer rows(3 * product(n_ctx, kHeadWidth) * sizeof(float));
  AlignedBuffer out(product(n_rows, kHeadWidth) * n * sizeof(float));
  const size_t n_scratch = attention_scratch(static_cast<size_t>(n_ctx), kHeadWidth);
  AlignedBuffer scratch(n_scratch * n * sizeof(float));
  fill(rows);
  const size_t values = head_parts.keys * n, scales = values + head_parts.values * n;
  const HeadCache first_head = {pages.data(), 0,   values, scales, scales + head_parts.scales * n,
                                kHeadWidth,   type};
  const auto head = [&](int i) { return head_behind(first_head, static_cast<size_t>(i)); };
  const float* x = rows.as<float>();
  const auto append = [&](int i, int n_new, int position) {
    bench.kernels.append(
        {head(i), x + n_ctx * kHeadWidth, x + 2 * n_ctx * kHeadWidth, kHeadWidth, n_new, position});
  };
  for (int i = 0; i < n_caches; ++i) append(i, n_ctx, 0);

  const double seen = static_cast<double>(n_rows) * (first + 0.5 * (n_rows + 1));
  // As a model of 12 heads does it on two threads.
  const int group = n_rows == 1 ? 6 : 1;
  bench.line(name, width, n_rows, (n_caches + group - 1) / group,
             static_cast<double>(bytes) * n_caches, 2 * seen * kHeadWidth * n_caches,
             [&](int item, int) {
               const int i = item * group;
               AttentionArgs args = {head(i),
                                     x,
                                     kHeadWidth,
                                     n_rows,
                                     first,
                                     scratch.as<float>() + n_scratch * static_cast<size_t>(i),
                                     out.as<float>() + product(n_rows * kHeadWidth, i),
                                     kHeadWidth};
               args.n_heads = std::min(group, n_caches - i);
               bench.kernels.attention(args);
             });
  const std::string append_name = std::string(name) + " fill";
  bench.line(append_name.c_str(), width, n_rows, n_caches,
             8.0 * static_cast<double>(product(n_rows, kHeadWidth)) * n_caches, 0,
             [&](int i, int) { append(i, n_rows, first); });
}

// What prepares rows for a matmul.
void bench_rows(const Bench& bench, int width, int n_rows) {
  const Activations x(bench.kernels, n_rows, width);
  AlignedBuffer ones(static_cast<size_t>(width + 15) * sizeof(float));
  AlignedBuffer out(product(n_rows, width) * sizeof(float));
  std::fill_n(ones.as<float>(), width, 1.0f);
  const auto stride = static_cast<size_t>(width);
  const double bytes = 4.0 * static_cast<double>(product(n_rows, width));
  bench.line("quantize", width, n_rows, x.n_tiles(), bytes, 0,
             [&](int tile, int) { x.quantize(bench.kernels, tile); });
  bench.line("layer_norm", width, n_rows, x.n_tiles(), bytes, 0, [&](int tile, int) {
    bench.kernels.layer_norm({x.tile_values(tile), stride, x.tile_rows(tile), width,
                              ones.as<float>(), ones.as<float>(), 1e-5f,
                              out.as<float>() + product(tile * x.quantized.tile, width), stride});
  });
}

}  // namespace

int main(int argc, char** argv) {
  const int n_threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : default_thread_count();
  std::vector<int> rows;
  for (int i = 2; i < argc; ++i) rows.push_back(std::max(1, std::atoi(argv[i])));
  if (rows.empty()) rows = {1, 4, 8, 256};
  ThreadPool pool(n_threads);
  const Bench bench{pool, measure_limits(default_table(), pool)};
  const ThreadPool::Lease lease(pool);
  std::printf("%s, %s, %d threads: reads %.1f GB/s, multiplies %.0f GMAC/s\n", cpu_name().c_str(),
              bench.kernels.name, n_threads, bench.limits.read_gb_s, bench.limits.int8_gmac_s);
  std::printf("%-18s %6s %6s %10s %10s %10s\n", "kernel", "width", "rows", "GB/s", "GMAC/s",
              "share");
  for (const int n_rows : rows) {
    for (const int width : {768, 1024, 1280, 1600, 3072, 6400}) {
      bench_matmul(bench, TensorType::Q8_0, "matmul int8", width, n_rows);
      bench_matmul(bench, TensorType::Q4_0, "matmul int4", width, n_rows);
      bench_matmul(bench, TensorType::IQ4_NL, "matmul table4", width, n_rows);
      if (width % 256 == 0) {
        bench_matmul(bench, TensorType::Q4_K, "matmul int4 super", width, n_rows);
        bench_matmul(bench, TensorType::Q6_K, "matmul int6 super", width, n_rows);
        bench_matmul(bench, TensorType::Q3_K, "matmul int3 super", width, n_rows);
        bench_matmul(bench, TensorType::Q2_K, "matmul int2 super", width, n_rows);
        bench_matmul(bench, TensorType::IQ4_XS, "matmul table4 super", width, n_rows);
      }
      bench_matmul(bench, TensorType::F16, "matmul f16", width, n_rows);
      bench_matmul(bench, TensorType::BF16, "matmul bf16", width, n_rows);
      bench_matmul(bench, TensorType::F32, "matmul f32", width, n_rows);
    }
    for (const int width : {768, 1024, 1280, 1600}) {
      bench_attention(bench, CacheType::kF16, "attention f16", width, n_rows);
      bench_attention(bench, CacheType::kInt8, "attention int8", width, n_rows);
      bench_attention(bench, CacheType::kInt16, "attention int16", width, n_rows);
      bench_rows(bench, width, n_rows);
    }
  }
}
