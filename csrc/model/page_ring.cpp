#include "model/page_ring.h"

#include <cstring>
#include <utility>

namespace gpt2edge {

PageRing::PageRing(std::shared_ptr<PagePool> pool, int n_fixed, int n_rotating)
    : pool_(std::move(pool)),
      n_fixed_(n_fixed),
      n_rotating_(n_rotating),
      slots_(static_cast<size_t>(n_fixed + n_rotating)) {}

int PageRing::slot(int first, int page) const {
  return page < n_fixed_ ? page : n_fixed_ + advanced(first, page - n_fixed_);
}

std::byte* PageRing::own(int slot) {
  Page& page = slots_[static_cast<size_t>(slot)];
  if (page.use_count() == 1) return page.get();
  Page copy = pool_->take();
  std::memcpy(copy.get(), page.get(), pool_->page_bytes());
  page = std::move(copy);
  return page.get();
}

std::byte* PageRing::renew(int slot) {
  Page& page = slots_[static_cast<size_t>(slot)];
  if (page.use_count() == 1) {
    // An earlier context's values must not reach this one: 0 * NaN is NaN.
    std::memset(page.get(), 0, pool_->page_bytes());
  } else {
    page = pool_->take();
  }
  return page.get();
}

void PageRing::set(int slot, Page page) { slots_[static_cast<size_t>(slot)] = std::move(page); }

void PageRing::clear() {
  for (Page& page : slots_) page = nullptr;
}

}  // namespace gpt2edge
