#include "base/fork.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/error.h"

namespace gpt2edge {
namespace {

std::atomic<uint32_t> n_forks{0};
std::atomic<std::thread::id> forked_by{};

#if !defined(_WIN32)
// Before main, where no other thread can fork.
[[maybe_unused]] const int registered =
    pthread_atfork([] { brief_mutex().lock(); }, [] { brief_mutex().unlock(); },
                   [] {
                     forked_by = std::this_thread::get_id();
                     ++n_forks;
                     brief_mutex().unlock();
                   });
#endif

}  // namespace

uint32_t fork_count() { return n_forks.load(std::memory_order_relaxed); }

std::mutex& brief_mutex() {
  // Never destroyed: at the process's end, threads may still be at work.
  static std::mutex* const mutex = new std::mutex;
  return *mutex;
}

namespace internal {

std::thread::id forking_thread() { return forked_by; }

void throw_lost() {
  throw UnsupportedError(
      "another thread was at work on this when the process forked, and is not in this process: "
      "begin it anew here");
}

}  // namespace internal
}  // namespace gpt2edge
