#include "base/available_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/resource.h>
#include <unistd.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace gpt2edge {
namespace {

uint64_t minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// The number a file consists of; "max", as cgroups say, and a missing file are unknown.
uint64_t read_number(const std::string& path) {
  std::ifstream file(path);
  uint64_t value;
  return file >> value ? value : kUnknownMemory;
}

// "MemFree:   123 kB" or "inactive_file 456": numbers by their names, units left aside.
std::map<std::string, uint64_t> read_table(const std::string& path) {
  std::map<std::string, uint64_t> table;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t end = line.find_first_of(": "), digits = line.find_first_of("0123456789", end);
    if (end == std::string::npos || digits == std::string::npos) continue;
    uint64_t value = 0;
    std::from_chars(line.data() + digits, line.data() + line.size(), value);
    table[line.substr(0, end)] = value;
  }
  return table;
}

// What a control group and those above it leave free. What files it holds in memory can go.
uint64_t free_in_groups(const std::string& mount, std::string group, const char* limit_file,
                        const char* usage_file, const char* inactive, const char* active) {
  uint64_t least = kUnknownMemory;
  for (;;) {
    const std::string folder = mount + group;
    const uint64_t limit = read_number(folder + limit_file);
    const uint64_t usage = read_number(folder + usage_file);
    if (limit != kUnknownMemory && usage != kUnknownMemory) {
      auto stat = read_table(folder + "/memory.stat");
      least = std::min(least, minus(limit, minus(usage, stat[inactive] + stat[active])));
    }
    if (group.empty()) return least;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

uint64_t free_in_cgroups(const std::string& root) {
  uint64_t least = kUnknownMemory;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // number:controllers:group
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1) == "/" ? "" : line.substr(second + 1);
    if (controllers.empty()) {
      for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        least = std::min(least, free_in_groups(root + mount, group, "/memory.max",
                                               "/memory.current", "inactive_file", "active_file"));
      }
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      least = std::min(least, free_in_groups(root + "/sys/fs/cgroup/memory", group,
                                             "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                             "total_inactive_file", "total_active_file"));
    }
  }
  return least;
}

#if defined(__linux__)
// What `ulimit -v` and `ulimit -d` leave.
uint64_t free_in_own_limits() {
  std::ifstream statm("/proc/self/statm");  // in pages: size resident shared text lib data
  uint64_t size = 0, resident, shared, text, lib, data = 0;
  if (!(statm >> size >> resident >> shared >> text >> lib >> data)) return kUnknownMemory;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t least = kUnknownMemory;
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    least = std::min<uint64_t>(least, minus(limit.rlim_cur, size * page));
  }
  if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    least = std::min<uint64_t>(least, minus(limit.rlim_cur, data * page));
  }
  return least;
}
#endif

}  // namespace

uint64_t available_memory_of_system(const std::string& root) {
  const auto meminfo = read_table(root + "/proc/meminfo");  // kB
  const auto available = meminfo.find("MemAvailable"), swap = meminfo.find("SwapFree");
  if (available == meminfo.end()) return free_in_cgroups(root);
  const uint64_t kb = available->second + (swap == meminfo.end() ? 0 : swap->second);
  return std::min(kb * 1024, free_in_cgroups(root));
}

uint64_t available_memory() {
#if defined(_WIN32)
  MEMORYSTATUSEX status;
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? status.ullAvailPageFile : kUnknownMemory;
#elif defined(__APPLE__)
  // What is free changes as macOS compresses; all there is must do.
  uint64_t all = 0;
  size_t size = sizeof all;
  return sysctlbyname("hw.memsize", &all, &size, nullptr, 0) == 0 ? all : kUnknownMemory;
#elif defined(__linux__)
  return std::min(available_memory_of_system(""), free_in_own_limits());
#else
  return kUnknownMemory;
#endif
}

}  // namespace gpt2edge
