#include "base/thread_count.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/error.h"

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace gpt2edge {
namespace {

constexpr int kMost = 1024;

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

#if defined(__linux__)
// Empty when unknown.
std::vector<int> affinity_mask() {
  std::vector<int> cpus;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
  }
  return cpus;
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

int cores_of_this_machine() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  if (const std::vector<int> cpus = affinity_mask(); !cpus.empty()) {
    cores = count_cores("/sys/devices/system/cpu", cpus);
  }
  if (const int quota = cpus_in_cgroup_quota(); quota > 0) cores = std::min(cores, quota);
#elif defined(__APPLE__)
  // The fast cores; on Macs whose cores are all alike there is no such name.
  int fast = 0;
  size_t size = sizeof fast;
  if (sysctlbyname("hw.perflevel0.physicalcpu", &fast, &size, nullptr, 0) == 0 && fast > 0) {
    cores = fast;
  } else if (sysctlbyname("hw.physicalcpu", &fast, &size, nullptr, 0) == 0 && fast > 0) {
    cores = fast;
  }
#endif
  return std::max(1, cores);
}

int from_environment(const char* text) {
  int n = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, n);
  if (error != std::errc{} || stop != end || n < 1 || n > kMost) {
    throw std::invalid_argument(
        message("GPT2EDGE_THREADS is \"", text, "\", expected a number from 1 to ", kMost));
  }
  return n;
}

}  // namespace

int count_cores(const std::string& sysfs, const std::vector<int>& cpus) {
  std::map<std::string, long> capacities;  // by core
  for (const int cpu : cpus) {
    const std::string folder = sysfs + "/cpu" + std::to_string(cpu);
    const std::string siblings = read_line(folder + "/topology/thread_siblings_list");
    const long capacity = std::atol(read_line(folder + "/cpu_capacity").c_str());
    capacities[siblings.empty() ? std::to_string(cpu) : siblings] = capacity;
  }
  long largest = 0;
  for (const auto& [core, capacity] : capacities) largest = std::max(largest, capacity);
  return static_cast<int>(
      std::count_if(capacities.begin(), capacities.end(),
                    [&](const auto& core) { return core.second >= largest / 2; }));
}

int default_thread_count() {
  const char* chosen = std::getenv("GPT2EDGE_THREADS");
  return chosen != nullptr && *chosen != '\0' ? from_environment(chosen) : cores_of_this_machine();
}

int checked_thread_count(int n_threads) {
  if (n_threads < 0 || n_threads > kMost) {
    throw std::invalid_argument(
        message("n_threads is ", n_threads, ", expected 1 to ", kMost, ", or 0 to choose"));
  }
  return n_threads == 0 ? default_thread_count() : n_threads;
}

}  // namespace gpt2edge
