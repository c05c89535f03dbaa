// What this processor can execute, and how many threads this process may use.
#pragma once

#include <string>

namespace gpt2edge {

// Instruction sets that both the processor and the operating system support.
struct CpuFeatures {
  bool avx2 = false;         // AVX2, FMA and F16C
  bool avx_vnni = false;     // 256-bit dot products without AVX-512
  bool avx512_vnni = false;  // AVX-512 F, BW, DQ, VL and VNNI
  bool neon = false;
  bool dotprod = false;
  bool i8mm = false;
};

const CpuFeatures& cpu_features();

// The processor's name, for reports: "AMD EPYC", "Cortex-A76". Empty when the system does not say.
std::string cpu_name();

// The number of physical cores this process may run on: the affinity mask without hyper-threads,
// and not more than the cgroup's CPU quota. At least 1.
int default_thread_count();

// The number itself, or default_thread_count() for 0. Throws std::invalid_argument for a negative
// number or more than 1024.
int checked_thread_count(int n_threads);

}  // namespace gpt2edge
