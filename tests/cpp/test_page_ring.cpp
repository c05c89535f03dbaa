// The ring of page slots, and the caches whose pages are runs of it.
#include "model/page_ring.h"

#include <algorithm>
#include <cstring>

#include "check.h"
#include "model/kv_cache.h"

namespace gpt2edge {
namespace {

constexpr int kPositions = kernels::kPagePositions;
constexpr uint64_t kBytes = 64;

bool all_are(const std::byte* page, size_t n_bytes, int value) {
  return std::all_of(page, page + n_bytes,
                     [&](std::byte b) { return b == static_cast<std::byte>(value); });
}

void fill(std::byte* page, int value, size_t n_bytes = kBytes) {
  std::memset(page, value, n_bytes);
}

// Pages of a context lie in consecutive slots, which go round; fixed ones have slots of their own.
void test_slots() {
  const auto pool = std::make_shared<PagePool>(kBytes, 4);
  for (int n_fixed = 0; n_fixed < 3; ++n_fixed) {
    for (int n_turning = 1; n_turning < 7; ++n_turning) {
      const PageRing ring(pool, n_fixed, n_turning);
      CHECK(ring.capacity() == n_fixed + n_turning);
      for (int first = 0; first < n_turning; ++first) {
        std::vector<int> seen;
        for (int page = 0; page < ring.capacity(); ++page) seen.push_back(ring.slot(first, page));
        for (int page = 0; page < n_fixed; ++page) CHECK(seen[static_cast<size_t>(page)] == page);
        CHECK(ring.slot(first, n_fixed) == n_fixed + first);
        // All slots, each once, and a whole turn further the first again.
        CHECK(ring.slot(first, n_fixed + n_turning) == n_fixed + first);
        std::sort(seen.begin(), seen.end());
        for (int i = 0; i < ring.capacity(); ++i) CHECK(seen[static_cast<size_t>(i)] == i);
        CHECK(ring.advanced(first, n_turning) == first);
        CHECK(ring.slot(ring.advanced(first, 1), n_fixed) == ring.slot(first, n_fixed + 1));
      }
    }
  }
  CHECK(pool->n_used() == 0);
}

void test_renew() {
  const auto pool = std::make_shared<PagePool>(kBytes, 4);
  PageRing ring(pool, 0, 2);
  std::byte* page = ring.renew(0);
  CHECK(all_are(page, kBytes, 0) && pool->n_used() == 1);
  fill(page, 7);
  CHECK(ring.renew(0) == page && all_are(page, kBytes, 0) && pool->n_used() == 1);

  fill(page, 8);
  const Page others = ring.page(0);
  std::byte* renewed = ring.renew(0);
  CHECK(renewed != page && all_are(renewed, kBytes, 0) && pool->n_used() == 2);
  CHECK(others.get() == page && all_are(page, kBytes, 8));
}

void test_own() {
  const auto pool = std::make_shared<PagePool>(kBytes, 4);
  PageRing ring(pool, 1, 1), other(pool, 0, 1);
  std::byte* page = ring.renew(1);
  fill(page, 5);
  CHECK(ring.own(1) == page && pool->n_used() == 1);
  other.set(0, ring.page(1));
  CHECK(pool->n_used() == 1);
  std::byte* copy = other.own(0);
  CHECK(copy != page && all_are(copy, kBytes, 5) && pool->n_used() == 2);
  fill(copy, 6);
  CHECK(all_are(page, kBytes, 5) && ring.own(1) == page);
  other.set(0, nullptr);
  CHECK(pool->n_used() == 1);
  ring.clear();
  CHECK(pool->n_used() == 0 && ring.page(1) == nullptr);
}

// ---- caches ----

const Config kConfig{.n_layer = 1,
                     .n_head = 1,
                     .n_embd = 16,
                     .n_inner = 16,
                     .n_ctx = 4 * kPositions,
                     .n_vocab = 8,
                     .layer_norm_epsilon = 0,
                     .activation = kernels::Epilogue::kGeluTanh};
constexpr auto kType = kernels::CacheType::kF16;

std::shared_ptr<PagePool> cache_pool() {
  return std::make_shared<PagePool>(KvCache::page_bytes(kConfig, kType), 8);
}

// Marks positions as the context `value` would.
void write_to(KvCache& cache, int first, int end, int value) {
  cache.make_room(first, end);
  for (int page = first / kPositions; page < KvCache::page_count(end); ++page) {
    fill(cache.pages()[static_cast<size_t>(page)], value, cache.page_bytes());
  }
}

bool is_written(const KvCache& cache, int page, int value) {
  return all_are(cache.pages()[static_cast<size_t>(page)], cache.page_bytes(), value);
}

void test_fork() {
  const auto pool = cache_pool();
  KvCache cache(kConfig, 4 * kPositions, kType, pool);
  CHECK(pool->n_used() == 0);
  write_to(cache, 0, 130, 1);
  KvCache fork = cache.fork();
  CHECK(fork.pages() == cache.pages() && pool->n_used() == 3);
  write_to(fork, 130, 200, 2);
  CHECK(pool->n_used() == 5);  // the last page is copied, and one is new
  CHECK(fork.pages()[0] == cache.pages()[0] && fork.pages()[2] != cache.pages()[2]);
  CHECK(is_written(cache, 2, 1) && is_written(fork, 2, 2) && is_written(fork, 3, 2));
  fork.truncate(64);
  CHECK(fork.pages().size() == 1 && pool->n_used() == 3);
}

void test_share() {
  const auto pool = cache_pool();
  KvCache known(kConfig, 4 * kPositions, kType, pool);
  write_to(known, 0, 150, 3);
  for (const int n : {0, 1, 63, 64, 65, 128, 150}) {
    KvCache cache(kConfig, 4 * kPositions, kType, pool);
    cache.share(known, n);
    CHECK(cache.pages().size() == static_cast<size_t>(KvCache::page_count(n)));
    // Whole pages are shared, the last that is not is a copy.
    CHECK(pool->n_used() == 3 + (n % kPositions > 0 ? 1 : 0));
    for (int page = 0; page < KvCache::page_count(n); ++page) CHECK(is_written(cache, page, 3));
  }
  CHECK(pool->n_used() == 3);
}

// Contexts that follow one another, round and round, each from every slot of the ring.
void test_next_runs(int n_fixed) {
  constexpr int kPages = 4;
  const int n_next = n_fixed + 1, n_turning = kPages - n_fixed + n_next - n_fixed;
  const auto pool = cache_pool();
  const auto ring = std::make_shared<PageRing>(pool, n_fixed, n_turning);
  KvCache active(kConfig, kPages * kPositions, kType, ring, 0);
  write_to(active, 0, kPages * kPositions, 1);
  std::vector<std::byte*> fixed(active.pages().begin(), active.pages().begin() + n_fixed);
  for (int round = 2; round < 30; ++round) {
    KvCache next = active.next_run();
    CHECK(next.pages().empty());
    next.share(active, n_fixed * kPositions);
    CHECK(std::equal(fixed.begin(), fixed.end(), next.pages().begin(), next.pages().end()));
    next.make_room(n_fixed * kPositions, n_next * kPositions);
    CHECK(is_written(next, n_fixed, 0));
    write_to(next, n_fixed * kPositions, n_next * kPositions, round);
    // The context in use is as it was.
    for (int page = n_fixed; page < kPages; ++page) CHECK(is_written(active, page, round - 1));
    CHECK(pool->n_used() == ring->capacity());
    active = std::move(next);
    write_to(active, n_next * kPositions, kPages * kPositions, round);
    for (int page = 0; page < n_fixed; ++page) CHECK(is_written(active, page, 1));
    CHECK(pool->n_used() == ring->capacity());
  }
}

// What is cut off is given up, and fixed pages stay where both contexts see them.
void test_truncate_beside_fixed_pages() {
  const auto pool = cache_pool();
  const auto ring = std::make_shared<PageRing>(pool, 1, 5);
  KvCache active(kConfig, 4 * kPositions, kType, ring, 0);
  write_to(active, 0, 4 * kPositions, 1);
  KvCache next = active.next_run();
  next.share(active, 80);  // a whole fixed page, and 16 positions
  CHECK(pool->n_used() == 5 && is_written(next, 1, 1));
  write_to(next, 80, 3 * kPositions, 2);
  CHECK(pool->n_used() == 6 && is_written(active, 1, 1));
  next.truncate(70);
  CHECK(next.pages().size() == 2 && pool->n_used() == 5);
  active.truncate(3 * kPositions);
  CHECK(pool->n_used() == 4 && is_written(next, 1, 2) && is_written(active, 0, 1));
  next.make_room(70, 3 * kPositions);
  CHECK(is_written(next, 1, 2) && is_written(next, 2, 0) && pool->n_used() == 5);

  // A fork has all pages in a ring of its own, and keeps them while this one goes round.
  const KvCache fork = active.fork();
  KvCache after = next.next_run();
  after.make_room(0, 4 * kPositions);
  CHECK(is_written(fork, 0, 1) && is_written(fork, 1, 1) && is_written(fork, 2, 1));
}

}  // namespace
}  // namespace gpt2edge

int main() {
  using namespace gpt2edge;
  test_slots();
  test_renew();
  test_own();
  test_fork();
  test_share();
  for (int n_fixed = 0; n_fixed < 4; ++n_fixed) test_next_runs(n_fixed);
  test_truncate_beside_fixed_pages();
  return check::done();
}
