// Free memory as Linux describes it: the system's, and what control groups of both versions leave.
#include "base/available_memory.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "check.h"

using gpt2edge::available_memory;
using gpt2edge::available_memory_of_system;
using gpt2edge::kUnknownMemory;

namespace fs = std::filesystem;

constexpr uint64_t kMb = 1000000;

struct System {
  fs::path root = fs::temp_directory_path() / ("gpt2edge-root-" + std::to_string(std::rand()));
  System() {
    write("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\nSwapFree: 0 kB");
  }
  ~System() { fs::remove_all(root); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text << "\n";
  }
  uint64_t available() const { return available_memory_of_system(root.string()); }
};

static void test_whole_system() {
  const System system;
  CHECK(system.available() == uint64_t{4000000} * 1024);
  system.write("proc/meminfo", "MemAvailable: 1000 kB\nSwapFree: 24 kB");
  CHECK(system.available() == 1024 * 1024);
  system.write("proc/meminfo", "nothing that we know");
  CHECK(system.available() == kUnknownMemory);
}

static void test_version_2() {
  const System system;
  system.write("proc/self/cgroup", "0::/user/app");
  const std::string app = "sys/fs/cgroup/user/app/";
  system.write(app + "memory.max", "max");
  system.write(app + "memory.current", "500000000");
  CHECK(system.available() == uint64_t{4000000} * 1024);
  system.write(app + "memory.max", "1200000000");
  CHECK(system.available() == 700 * kMb);
  // Files held in memory can go.
  system.write(app + "memory.stat", "anon 1\nactive_file 100000000\ninactive_file 200000000");
  CHECK(system.available() == 1000 * kMb);
  // The group above is tighter.
  system.write("sys/fs/cgroup/user/memory.max", "900000000");
  system.write("sys/fs/cgroup/user/memory.current", "800000000");
  CHECK(system.available() == 100 * kMb);
  system.write("sys/fs/cgroup/user/memory.current", "950000000");
  CHECK(system.available() == 0);
}

static void test_version_1() {
  const System system;
  system.write("proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/app\n0::/");
  const std::string app = "sys/fs/cgroup/memory/app/";
  system.write(app + "memory.limit_in_bytes", "1200000000");
  system.write(app + "memory.usage_in_bytes", "300000000");
  system.write(app + "memory.stat", "total_active_file 10000000\ntotal_inactive_file 20000000");
  CHECK(system.available() == 930 * kMb);
}

int main() {
  test_whole_system();
  test_version_2();
  test_version_1();
  CHECK(available_memory() > 0);
  return check::done();
}
