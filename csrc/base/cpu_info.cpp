#include "base/cpu_info.h"

#include <cstdint>
#include <cstring>
#include <fstream>

#if defined(__x86_64__) || defined(_M_X64)
#define GPT2EDGE_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_M_ARM64)
#include <windows.h>
#endif

namespace gpt2edge {
namespace {

#if defined(GPT2EDGE_X86)
struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Registers r{};
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {static_cast<uint32_t>(out[0]), static_cast<uint32_t>(out[1]), static_cast<uint32_t>(out[2]),
       static_cast<uint32_t>(out[3])};
#else
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
#endif
  return r;
}

// Which register files the operating system saves on a task switch. An instruction set that the
// processor has but the system does not save faults all the same.
uint64_t saved_registers() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

bool bit(uint32_t word, int index) { return (word >> index & 1) != 0; }

CpuFeatures detect() {
  CpuFeatures f;
  if (cpuid(0).eax < 7) return f;
  const Registers one = cpuid(1);
  f.crc32c = bit(one.ecx, 20);
  const bool has_xgetbv = bit(one.ecx, 27);
  if (!has_xgetbv) return f;
  const uint64_t saved = saved_registers();
  const bool ymm_saved = (saved & 0x6) == 0x6;
  const bool zmm_saved = (saved & 0xE6) == 0xE6;
  const Registers seven = cpuid(7);
  const bool fma = bit(one.ecx, 12), f16c = bit(one.ecx, 29), avx = bit(one.ecx, 28);
  f.avx2 = ymm_saved && avx && fma && f16c && bit(seven.ebx, 5);
  f.avx_vnni = f.avx2 && seven.eax >= 1 && bit(cpuid(7, 1).eax, 4);
  const bool avx512 =
      bit(seven.ebx, 16) && bit(seven.ebx, 17) && bit(seven.ebx, 30) && bit(seven.ebx, 31);
  f.avx512_vnni = f.avx2 && zmm_saved && avx512 && bit(seven.ecx, 11);
  return f;
}
#elif defined(__aarch64__) || defined(_M_ARM64)
#if defined(__APPLE__)
bool has_feature(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
#endif

CpuFeatures detect() {
  CpuFeatures f;
  f.neon = true;
#if defined(__linux__)
  const unsigned long hwcap = getauxval(AT_HWCAP), hwcap2 = getauxval(AT_HWCAP2);
  f.crc32c = (hwcap >> 7 & 1) != 0;    // HWCAP_CRC32
  f.dotprod = (hwcap >> 20 & 1) != 0;  // HWCAP_ASIMDDP
  f.i8mm = (hwcap2 >> 13 & 1) != 0;    // HWCAP2_I8MM
#elif defined(__APPLE__)
  f.crc32c = has_feature("hw.optional.armv8_crc32");
  f.dotprod = has_feature("hw.optional.arm.FEAT_DotProd");
  f.i8mm = has_feature("hw.optional.arm.FEAT_I8MM");
#elif defined(_WIN32)
  f.dotprod = IsProcessorFeaturePresent(43) != 0;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
#endif
  return f;
}
#else
CpuFeatures detect() { return {}; }
#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

bool gains_by_prefetch() {
#if defined(GPT2EDGE_X86)
  static const bool gains = [] {
    const Registers vendor = cpuid(0);  // "AuthenticAMD" or "HygonGenuine", in ebx, edx, ecx
    return std::memcmp(&vendor.ecx, "cAMD", 4) != 0 && std::memcmp(&vendor.ecx, "uine", 4) != 0;
  }();
  return gains;
#else
  return true;
#endif
}

std::string cpu_name() {
#if defined(GPT2EDGE_X86)
  if (cpuid(0x80000000u).eax < 0x80000004u) return "";
  char name[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002u + i);
    std::memcpy(name + 16 * i, &r, 16);
  }
  const std::string text = name;
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
#elif defined(__linux__)
  std::ifstream file("/proc/device-tree/model");
  std::string model;
  std::getline(file, model);
  return model.substr(0, model.find('\0'));
#else
  return "";
#endif
}

}  // namespace gpt2edge
