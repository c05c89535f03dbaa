#include "kernels/limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_info.h"

namespace gpt2edge::kernels {
namespace {

double now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

// The times of `runs` calls, in seconds, the shortest first.
template <typename Work>
std::vector<double> sorted_times(int runs, Work work) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const double start = now();
    work();
    times.push_back(now() - start);
  }
  std::sort(times.begin(), times.end());
  return times;
}

template <typename Work>
double median_time(int runs, Work work) {
  return sorted_times(runs, work)[static_cast<size_t>(runs / 2)];
}

// Bytes a second: a buffer larger than the caches, read once from end to end by all threads.
double read_rate(const KernelTable& kernels, ThreadPool& pool) {
  constexpr size_t kBytes = size_t{256} << 20;
  constexpr int kItems = 256;
  constexpr size_t kShare = kBytes / sizeof(float) / kItems;
  AlignedBuffer buffer(kBytes);
  auto* numbers = buffer.as<float>();
  // Pages that were never written would all map to one page of zeros.
  pool.run(kItems, [&](int item, int) {
    std::fill_n(numbers + kShare * static_cast<size_t>(item), kShare, 1.0f);
  });
  std::atomic<float> total{0};
  const double time = median_time(9, [&] {
    pool.run(kItems, [&](int item, int) {
      const float sum = kernels.sum_floats(numbers + kShare * static_cast<size_t>(item), kShare,
                                           gains_by_prefetch());
      total.store(sum, std::memory_order_relaxed);
    });
  });
  return static_cast<double>(kBytes) / time;
}

// Calls work() once on every thread of the pool, all at the same time. Each item waits until all
// others have started: otherwise one thread could run several.
template <typename Work>
void on_every_thread(ThreadPool& pool, Work work) {
  constexpr int kSpins = 1000;
  const int n = pool.n_threads();
  std::atomic<int> n_started{0};
  pool.run(n, [&](int, int) {
    n_started.fetch_add(1);
    for (int spins = 0; n_started.load() < n; ++spins) {
      if (spins > kSpins) std::this_thread::yield();
    }
    work();
  });
}

double multiply_rate(const KernelTable& kernels, ThreadPool& pool) {
  constexpr int kRounds = 4096;  // few enough for sums that floats hold
  std::atomic<int32_t> sum{0};
  const auto multiply = [&](int repeats) {
    on_every_thread(pool, [&] {
      for (int i = 0; i < repeats; ++i) sum.fetch_add(kernels.multiply_codes(kRounds));
    });
  };
  // As many as take a few milliseconds, whether by AVX-512 or by plain C++.
  int repeats = 1;
  while (repeats < 4096 && median_time(1, [&] { multiply(repeats); }) < 5e-3) repeats *= 2;
  // The shortest time: other processes only make it longer.
  const double time = sorted_times(9, [&] { multiply(repeats); }).front();
  return static_cast<double>(repeats) * kRounds * kernels.codes_per_round * pool.n_threads() / time;
}

double barrier_time(ThreadPool& pool) {
  constexpr int kLoops = 200;
  const double time = median_time(9, [&] {
    for (int i = 0; i < kLoops; ++i) on_every_thread(pool, [] {});
  });
  return time / kLoops;
}

}  // namespace

MachineLimits measure_limits(const KernelTable& kernels, ThreadPool& pool) {
  const ThreadPool::Lease lease(pool);
  return {read_rate(kernels, pool) / 1e9, multiply_rate(kernels, pool) / 1e9,
          barrier_time(pool) * 1e6};
}

}  // namespace gpt2edge::kernels
