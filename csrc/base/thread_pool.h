// Worker threads that live as long as the model and execute the items of parallel loops.
//
// The caller takes part. Threads take items from one counter, so a slow core takes fewer, and the
// caller waits only for items that were taken: a worker that the system has descheduled delays no
// loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fork.h"

namespace gpt2edge {

class ThreadPool {
 public:
  // n_threads counts the caller: 1 starts no thread at all.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }

  // Calls body(item, thread) once for each item in [0, n_items), thread in [0, n_threads), and
  // returns when all are done. The body must not throw. The caller holds a Lease.
  template <typename Body>
  void run(int n_items, Body&& body) {
    run_job(
        n_items,
        [](void* context, int item, int thread) {
          (*static_cast<std::remove_reference_t<Body>*>(context))(item, thread);
        },
        &body);
  }

  // The right to call run(): one caller at a time, held for a whole pass over the model.
  class Lease {
   public:
    explicit Lease(ThreadPool& pool);

   private:
    std::unique_lock<WorkMutex> lock_;
  };

 private:
  using Call = void (*)(void* context, int item, int thread);

  void run_job(int n_items, Call call, void* context);
  void work(int thread);
  bool take_item(int thread);
  void wait_for_items();
  bool forked() const;
  void start();
  void leave_threads();

  // One word, so that claiming an item also says which job it is of:
  // job number (16 bits) | items in the job (24) | next item to take (24).
  std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> n_done_{0};
  alignas(64) std::atomic<uint32_t> wake_{0};
  std::atomic<int> n_asleep_{0};
  std::atomic<bool> stopping_{false};
  Call call_ = nullptr;
  void* context_ = nullptr;

  int n_threads_;
  uint32_t started_ = fork_count();
  std::vector<std::thread> workers_;
  WorkMutex lease_mutex_{AfterFork::kFree};
};

}  // namespace gpt2edge
