// Mutexes of a process that may fork. The child has one thread, and each mutex as it was: one that
// another thread held is never unlocked there.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace gpt2edge {

// How often this process and those that it comes from have forked.
uint32_t fork_count();

// The process's mutex for what takes microseconds and calls nobody. fork() waits for it, so that a
// child finds it free, and what it guards whole.
std::mutex& brief_mutex();

// What a mutex is to a child, if a thread that is not there held it.
enum class AfterFork : uint8_t {
  kFree,  // what it guards begins anew
  kLost,  // what it guards is half changed: locking throws
};

namespace internal {
std::thread::id forking_thread();  // of the last fork
[[noreturn]] void throw_lost();
}  // namespace internal

// A mutex to hold while computing, or while calling functions of others, which may fork. Mutex:
// std::mutex, or std::timed_mutex for try_lock_until. Locking throws UnsupportedError where the
// holder was lost.
template <typename Mutex>
class WorkMutexOf {
 public:
  explicit WorkMutexOf(AfterFork after_fork = AfterFork::kLost) : after_fork_(after_fork) {}

  void lock() {
    adopt();
    mutex_->lock();
    enter();
  }
  // By the system's clock: sanitizers do not see a lock that waits by another.
  bool try_lock_until(const std::chrono::system_clock::time_point& end) {
    adopt();
    if (!mutex_->try_lock_until(end)) return false;
    enter();
    return true;
  }
  void unlock() {
    holder_ = std::thread::id();
    mutex_->unlock();
  }

 private:
  void enter() {
    if (is_lost_) {
      mutex_->unlock();
      internal::throw_lost();
    }
    holder_ = std::this_thread::get_id();
  }

  // Makes it one of this process.
  void adopt() {
    if (adopted_.load(std::memory_order_acquire) == fork_count()) return;
    const std::lock_guard lock(brief_mutex());
    if (adopted_ == fork_count()) return;
    // The thread that has forked goes on, and unlocks what it holds.
    if (holder_ != internal::forking_thread()) {
      if (mutex_->try_lock()) {
        mutex_->unlock();
      } else {
        mutex_.release();  // a locked mutex cannot be destroyed
        mutex_ = std::make_unique<Mutex>();
        is_lost_ = after_fork_ == AfterFork::kLost;
      }
    }
    adopted_.store(fork_count(), std::memory_order_release);
  }

  std::unique_ptr<Mutex> mutex_ = std::make_unique<Mutex>();
  std::atomic<std::thread::id> holder_{};
  std::atomic<uint32_t> adopted_ = fork_count();
  std::atomic<bool> is_lost_{false};
  AfterFork after_fork_;
};

using WorkMutex = WorkMutexOf<std::mutex>;

}  // namespace gpt2edge
