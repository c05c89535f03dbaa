// The peak rates of this machine, measured with the instructions of a kernel table: the roofline
// that the speed of a model is compared with.
#pragma once

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {

struct MachineLimits {
  double read_gb_s;    // bytes read from memory a second, by all threads, in 10^9
  double int8_gmac_s;  // multiply-adds of int8 codes a second, by all threads, in 10^9
  double barrier_us;   // of a loop that all threads take part in, from its start to its end
};

// Takes about half a second and 256 MB. Throws std::bad_alloc without them.
MachineLimits measure_limits(const KernelTable& kernels, ThreadPool& pool);

}  // namespace gpt2edge::kernels
