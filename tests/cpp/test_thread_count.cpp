// How many threads, on machines as Linux describes them and by GPT2EDGE_THREADS.
#include "base/thread_count.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "check.h"

using gpt2edge::checked_thread_count;
using gpt2edge::count_cores;
using gpt2edge::default_thread_count;

namespace fs = std::filesystem;

static void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text << "\n";
}

// A folder like /sys/devices/system/cpu; siblings and capacities by processor, "" for none.
struct Machine {
  fs::path folder = fs::temp_directory_path() / ("gpt2edge-sysfs-" + std::to_string(std::rand()));
  ~Machine() { fs::remove_all(folder); }

  void add(int cpu, const std::string& siblings, const std::string& capacity) const {
    const fs::path own = folder / ("cpu" + std::to_string(cpu));
    if (!siblings.empty()) write(own / "topology" / "thread_siblings_list", siblings);
    if (!capacity.empty()) write(own / "cpu_capacity", capacity);
  }
};

static void test_machines() {
  {
    const Machine raspberry_pi;
    for (int cpu = 0; cpu < 4; ++cpu) raspberry_pi.add(cpu, std::to_string(cpu), "1024");
    CHECK(count_cores(raspberry_pi.folder.string(), {0, 1, 2, 3}) == 4);
    CHECK(count_cores(raspberry_pi.folder.string(), {1, 3}) == 2);
  }
  {
    const Machine hyper_threads;
    for (int cpu = 0; cpu < 4; ++cpu) hyper_threads.add(cpu, cpu % 2 == 0 ? "0,2" : "1,3", "");
    CHECK(count_cores(hyper_threads.folder.string(), {0, 1, 2, 3}) == 2);
    CHECK(count_cores(hyper_threads.folder.string(), {0, 2}) == 1);
  }
  {
    const Machine big_and_little;  // as an RK3588's
    for (int cpu = 0; cpu < 8; ++cpu) {
      big_and_little.add(cpu, std::to_string(cpu), cpu < 4 ? "414" : "1024");
    }
    const std::string folder = big_and_little.folder.string();
    CHECK(count_cores(folder, {0, 1, 2, 3, 4, 5, 6, 7}) == 4);
    CHECK(count_cores(folder, {0, 1, 2, 3}) == 4);  // all that it may use
    CHECK(count_cores(folder, {0, 1, 2, 7}) == 1);
  }
  {
    const Machine hybrid;  // efficient cores that are worth a thread
    for (int cpu = 0; cpu < 6; ++cpu) {
      hybrid.add(cpu, std::to_string(cpu), cpu < 2 ? "1024" : "640");
    }
    CHECK(count_cores(hybrid.folder.string(), {0, 1, 2, 3, 4, 5}) == 6);
  }
  const Machine unknown;
  CHECK(count_cores(unknown.folder.string(), {0, 1, 2}) == 3);
}

static void set(const char* value) {
#if defined(_WIN32)
  _putenv_s("GPT2EDGE_THREADS", value);
#else
  setenv("GPT2EDGE_THREADS", value, 1);
#endif
}

template <typename Function>
static std::string error_of(Function function) {
  try {
    function();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

static void test_environment() {
  set("");
  const int own = default_thread_count();
  CHECK(own >= 1);
  CHECK(checked_thread_count(0) == own);
  set("7");
  CHECK(default_thread_count() == 7);
  CHECK(checked_thread_count(0) == 7);
  CHECK(checked_thread_count(3) == 3);
  for (const char* wrong : {"0", "-2", "four", "4x", " 4", "1025", "99999999999"}) {
    set(wrong);
    const std::string error = error_of([] { default_thread_count(); });
    CHECK(error.find("GPT2EDGE_THREADS is \"" + std::string(wrong) + "\"") == 0);
  }
  set("");
  CHECK(!error_of([] { checked_thread_count(-1); }).empty());
  CHECK(!error_of([] { checked_thread_count(1025); }).empty());
}

int main() {
  test_machines();
  test_environment();
  return check::done();
}
