// The pool does every item exactly once, whoever asks and however often.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"

using gpt2edge::ThreadPool;

static void test_every_item_once(int n_threads) {
  ThreadPool pool(n_threads);
  const ThreadPool::Lease lease(pool);
  for (int round = 0; round < 2000; ++round) {
    const int n_items = round % 40;
    std::vector<std::atomic<int>> done(static_cast<size_t>(n_items));
    pool.run(n_items, [&](int item, int thread) {
      CHECK(thread >= 0 && thread < n_threads);
      done[static_cast<size_t>(item)].fetch_add(1);
    });
    for (const auto& count : done) CHECK(count.load() == 1);
  }
}

// After a pause the workers are asleep and must wake.
static void test_wakes_up() {
  ThreadPool pool(4);
  const ThreadPool::Lease lease(pool);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> n_done{0};
    pool.run(100, [&](int, int) { n_done.fetch_add(1); });
    CHECK(n_done.load() == 100);
  }
}

// Two callers take turns by their leases.
static void test_two_callers() {
  ThreadPool pool(3);
  std::atomic<int> total{0};
  const auto caller = [&] {
    for (int i = 0; i < 200; ++i) {
      const ThreadPool::Lease lease(pool);
      int before = 0;
      std::atomic<int> mine{0};
      pool.run(10, [&](int, int) { mine.fetch_add(1); });
      before = mine.load();
      CHECK(before == 10);
      total.fetch_add(before);
    }
  };
  std::thread other(caller);
  caller();
  other.join();
  CHECK(total.load() == 4000);
}

int main() {
  for (const int n_threads : {1, 2, 3, 8}) test_every_item_once(n_threads);
  test_wakes_up();
  test_two_callers();
  return check::done();
}
