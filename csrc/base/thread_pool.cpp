#include "base/thread_pool.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace gpt2edge {
namespace {

constexpr int kItemBits = 24;
constexpr uint64_t kItemMask = (uint64_t{1} << kItemBits) - 1;

uint64_t next_item(uint64_t ticket) { return ticket & kItemMask; }
uint64_t n_items_of(uint64_t ticket) { return ticket >> kItemBits & kItemMask; }
uint64_t job_of(uint64_t ticket) { return ticket >> (2 * kItemBits); }
bool has_items(uint64_t ticket) { return next_item(ticket) < n_items_of(ticket); }

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  // "yield" does nothing on most cores; this takes about as long as x86's pause.
  asm volatile("isb");
#endif
}

// Between two loops of one token a worker has nothing to do for a few microseconds; between two
// tokens, for some tens. Spinning covers the first, yielding the second; after that it sleeps.
constexpr int kSpins = 2000;
constexpr int kYields = 200;

}  // namespace

ThreadPool::ThreadPool(int n_threads) : n_threads_(n_threads) { start(); }

void ThreadPool::start() {
  for (int thread = 1; thread < n_threads_; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  if (forked()) {
    leave_threads();
    return;
  }
  stopping_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

bool ThreadPool::forked() const { return fork_count() != started_; }

// The threads stayed behind in the parent process. To the system their handles are those of threads
// that this process has started since: they can be neither joined nor detached.
void ThreadPool::leave_threads() {
  if (!workers_.empty()) new std::vector<std::thread>(std::move(workers_));
  workers_.clear();
}

ThreadPool::Lease::Lease(ThreadPool& pool) : lock_(pool.lease_mutex_) {
  if (!pool.forked()) return;
  // A child made by fork() has this object but not its threads, and perhaps a job that another
  // thread was waiting for.
  pool.leave_threads();
  pool.n_asleep_.store(0);
  pool.ticket_.store(0);
  pool.started_ = fork_count();
  pool.start();
}

void ThreadPool::run_job(int n_items, Call call, void* context) {
  if (n_threads_ == 1 || n_items <= 1) {
    for (int item = 0; item < n_items; ++item) call(context, item, 0);
    return;
  }
  call_ = call;
  context_ = context;
  n_done_.store(0, std::memory_order_relaxed);
  const uint64_t job = job_of(ticket_.load(std::memory_order_relaxed)) + 1;
  // seq_cst orders the new ticket before the look at n_asleep_: a worker that is about to sleep
  // either sees the ticket or is seen here.
  ticket_.store(job << (2 * kItemBits) | static_cast<uint64_t>(n_items) << kItemBits);
  if (n_asleep_.load() > 0) {
    wake_.fetch_add(1);
    wake_.notify_all();
  }
  while (take_item(0)) {
  }
  for (int spins = 0; n_done_.load(std::memory_order_acquire) < n_items; ++spins) {
    if (spins < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

bool ThreadPool::take_item(int thread) {
  if (!has_items(ticket_.load(std::memory_order_relaxed))) return false;
  const uint64_t ticket = ticket_.fetch_add(1, std::memory_order_acq_rel);
  if (!has_items(ticket)) return false;
  // The job's caller waits for this item, so call_ and context_ are of this very job.
  call_(context_, static_cast<int>(next_item(ticket)), thread);
  n_done_.fetch_add(1, std::memory_order_release);
  return true;
}

void ThreadPool::work(int thread) {
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (!take_item(thread)) wait_for_items();
  }
}

void ThreadPool::wait_for_items() {
  for (int spins = 0; spins < kSpins + kYields; ++spins) {
    if (has_items(ticket_.load(std::memory_order_relaxed))) return;
    if (stopping_.load(std::memory_order_relaxed)) return;
    if (spins < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  n_asleep_.fetch_add(1);
  const uint32_t before = wake_.load();
  if (!has_items(ticket_.load()) && !stopping_.load()) wake_.wait(before);
  n_asleep_.fetch_sub(1);
}

}  // namespace gpt2edge
