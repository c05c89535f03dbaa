#include "model/page_pool.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/fork.h"

namespace gpt2edge {

PagePool::Slab& PagePool::slab_with_room() {
  for (const auto& slab : slabs_) {
    if (!slab->free.empty()) return *slab;
  }
  auto slab = std::make_unique<Slab>();
  slab->memory = AlignedBuffer(page_bytes_ * static_cast<uint64_t>(slab_pages_));
  slab->n_fresh = 0;
  slab->free.reserve(static_cast<size_t>(slab_pages_));
  for (int i = slab_pages_; i-- > 0;) slab->free.push_back(i);
  slabs_.push_back(std::move(slab));
  return *slabs_.back();
}

Page PagePool::take() {
  std::byte* data;
  bool is_fresh;
  {
    const std::lock_guard lock(brief_mutex());
    Slab& slab = slab_with_room();
    const int index = slab.free.back();
    slab.free.pop_back();
    data = slab.memory.data() + page_bytes() * static_cast<size_t>(index);
    is_fresh = index >= slab.n_fresh;
    slab.n_fresh = std::max(slab.n_fresh, index + 1);
  }
  // Another sequence's values must not reach this one: 0 * NaN is NaN.
  if (!is_fresh) std::memset(data, 0, page_bytes());
  // Where allocating the shared_ptr's control block fails, the deleter still runs.
  return Page(data, [pool = shared_from_this()](std::byte* page) { pool->give_back(page); });
}

// One free slab is kept for the next text or context: allocating one takes as long as many tokens.
void PagePool::give_back(std::byte* page) {
  const std::lock_guard lock(brief_mutex());
  const auto owner = std::find_if(slabs_.begin(), slabs_.end(), [&](const auto& slab) {
    const std::byte* first = slab->memory.data();
    return first <= page && page < first + slab->memory.size();
  });
  Slab& slab = **owner;
  slab.free.push_back(
      static_cast<int>(static_cast<size_t>(page - slab.memory.data()) / page_bytes()));
  const auto is_unused = [&](const auto& other) { return other->n_used(slab_pages_) == 0; };
  if (is_unused(*owner) && std::count_if(slabs_.begin(), slabs_.end(), is_unused) > 1) {
    slabs_.erase(owner);
  }
}

int PagePool::n_used() const {
  const std::lock_guard lock(brief_mutex());
  int n = 0;
  for (const auto& slab : slabs_) n += slab->n_used(slab_pages_);
  return n;
}

int PagePool::n_idle() const {
  const std::lock_guard lock(brief_mutex());
  std::ptrdiff_t n = 0;
  for (const auto& slab : slabs_) {
    n += std::count_if(slab->free.begin(), slab->free.end(),
                       [&](int index) { return index < slab->n_fresh; });
  }
  return static_cast<int>(n);
}

}  // namespace gpt2edge
