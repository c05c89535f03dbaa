#include "base/cpu_info.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/error.h"

#if defined(__x86_64__) || defined(_M_X64)
#define GPT2EDGE_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(__linux__)
#include <sched.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
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
CpuFeatures detect() {
  CpuFeatures f;
  f.neon = true;
#if defined(__linux__)
  const unsigned long hwcap = getauxval(AT_HWCAP), hwcap2 = getauxval(AT_HWCAP2);
  f.dotprod = (hwcap >> 20 & 1) != 0;  // HWCAP_ASIMDDP
  f.i8mm = (hwcap2 >> 13 & 1) != 0;    // HWCAP2_I8MM
#elif defined(__APPLE__)
  f.dotprod = true;  // every Apple core since the A11 and every M chip
#endif
  return f;
}
#else
CpuFeatures detect() { return {}; }
#endif

#if defined(__linux__)
std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The distinct physical cores among the processors of the affinity mask; 0 when unknown.
int cores_in_affinity_mask() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 0;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::string siblings = read_line(topology + "thread_siblings_list");
    cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

// The whole CPUs that the cgroup's quota amounts to, rounded up; 0 when there is no quota.
int cpus_in_cgroup_quota() {
  std::istringstream v2(read_line("/sys/fs/cgroup/cpu.max"));
  double quota = 0, period = 0;
  if (!(v2 >> quota >> period)) {
    quota = std::atof(read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").c_str());
    period = std::atof(read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").c_str());
  }
  if (quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>((quota + period - 1) / period));
}
#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
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
  const std::string model = read_line("/proc/device-tree/model");
  return model.substr(0, model.find('\0'));
#else
  return "";
#endif
}

int default_thread_count() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  if (const int own = cores_in_affinity_mask(); own > 0) cores = own;
  if (const int quota = cpus_in_cgroup_quota(); quota > 0) cores = std::min(cores, quota);
#endif
  return std::max(1, cores);
}

int checked_thread_count(int n_threads) {
  constexpr int kMost = 1024;
  if (n_threads < 0 || n_threads > kMost) {
    throw std::invalid_argument(
        message("n_threads is ", n_threads, ", expected 1 to ", kMost, ", or 0 to choose"));
  }
  return n_threads == 0 ? default_thread_count() : n_threads;
}

}  // namespace gpt2edge
