// Mapped files that are shortened while they are read.
#include "base/mapped_file.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "check.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

using gpt2edge::FileError;
using gpt2edge::MappedFile;

namespace fs = std::filesystem;

constexpr size_t kSize = size_t{1} << 20;
static std::atomic<int> n_files = 0;

struct TestFile {
  fs::path path =
      fs::temp_directory_path() / ("gpt2edge-mapped-" + std::to_string(std::random_device{}()) +
                                   "-" + std::to_string(n_files++));
  TestFile() { std::ofstream(path, std::ios::binary) << std::string(kSize, 1); }
  ~TestFile() { fs::remove(path); }
};

static size_t sum(const MappedFile& file) {
  const auto bytes = file.bytes();
  return std::accumulate(bytes.begin(), bytes.end(), size_t{0},
                         [](size_t total, std::byte b) { return total + static_cast<size_t>(b); });
}

// Volatile: the compiler must compute it, also for those that want the error alone.
static thread_local volatile size_t last_sum;

static size_t checked_sum(const MappedFile& file) {
  return file.checked("a name", [&file] {
    last_sum = sum(file);
    return size_t{last_sum};
  });
}

static void test_whole_file() {
  const TestFile kept;
  MappedFile file(kept.path.string());
  CHECK(checked_sum(file) == kSize);
  const MappedFile moved = std::move(file);
  CHECK(checked_sum(moved) == kSize);
  fs::remove(kept.path);
  CHECK(checked_sum(moved) == kSize);
}

#if !defined(_WIN32)

static std::string error_of(const MappedFile& file) {
  try {
    checked_sum(file);
  } catch (const FileError& e) {
    return e.what();
  }
  return "";
}

static void test_shortened_file() {
  const TestFile kept, other;
  const MappedFile file(kept.path.string()), whole(other.path.string());
  CHECK(checked_sum(file) == kSize);
  fs::resize_file(kept.path, kSize / 2);
  CHECK(error_of(file).find("cannot read a name: it was shortened") == 0);
  CHECK(sum(file) == kSize / 2);  // zeros where nothing is
  CHECK(!error_of(file).empty());
  CHECK(checked_sum(whole) == kSize);
  // Made anew, and a range that another file had before.
  const MappedFile again(kept.path.string());
  CHECK(checked_sum(again) == kSize / 2);
}

static void test_what_the_reader_throws_gives_way() {
  const TestFile kept;
  const MappedFile file(kept.path.string());
  const auto read_and_throw = [&file] {
    if (sum(file) != kSize) throw std::invalid_argument("the bytes make no sense");
  };
  fs::resize_file(kept.path, 0);
  CHECK(check::throws<FileError>([&] { file.checked("a name", read_and_throw); }));
}

static void test_many_threads() {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i] {
      for (int n = 0; n < 50; ++n) {
        const TestFile kept;
        const MappedFile file(kept.path.string());
        const bool is_short = (i + n) % 2 == 0;
        if (is_short) fs::resize_file(kept.path, 1);
        CHECK(error_of(file).empty() != is_short);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// The signal that ends a child, or 0.
template <typename Action>
static int signal_of_child(const Action& action) {
  const pid_t child = fork();
  if (child == 0) {
    action();
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_other_faults_end_the_process() {
  const TestFile kept;
  const MappedFile file(kept.path.string());
  CHECK(signal_of_child([] { raise(SIGBUS); }) == SIGBUS);
  CHECK(signal_of_child([] { kill(getpid(), SIGBUS); }) == SIGBUS);
  CHECK(signal_of_child([&] {
          fs::resize_file(kept.path, 1);
          if (error_of(file).empty()) raise(SIGKILL);
        }) == 0);
}

#endif

int main() {
  test_whole_file();
#if !defined(_WIN32)
  test_shortened_file();
  test_what_the_reader_throws_gives_way();
  test_many_threads();
  test_other_faults_end_the_process();
#endif
  return check::done();
}
