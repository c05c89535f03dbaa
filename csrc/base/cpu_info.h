// The name of this processor and its instruction sets.
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
  bool crc32c = false;  // the checksum: SSE 4.2, or Arm's CRC extension
};

const CpuFeatures& cpu_features();

// Whether reading one stream from memory gains by software prefetch. On a Xeon decoding was 1.4
// times as fast with it; a Zen 4 reads up to twice as fast without.
bool gains_by_prefetch();

// The processor's name, for reports: "AMD EPYC", "Cortex-A76". Empty when the system does not say.
std::string cpu_name();

}  // namespace gpt2edge
