// Memory for keys and values, by pages of a few positions each, which sequences share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned_buffer.h"

namespace gpt2edge {

// A page, owned by every sequence whose text it is part of. It goes back to its pool with the last.
using Page = std::shared_ptr<std::byte>;

class PagePool : public std::enable_shared_from_this<PagePool> {
 public:
  // Memory is allocated and freed in slabs of slab_pages pages.
  PagePool(uint64_t page_bytes, int slab_pages)
      : page_bytes_(page_bytes), slab_pages_(slab_pages) {}

  // A page of zeros. Throws std::bad_alloc.
  Page take();

  size_t page_bytes() const { return static_cast<size_t>(page_bytes_); }
  // Pages in use.
  int n_used() const;
  // Free pages of allocated slabs.
  int n_idle() const;

 private:
  struct Slab {
    AlignedBuffer memory;
    std::vector<int> free;  // the next to take last
    int n_fresh;            // pages from here on are as the system gave them
    int n_used(int n_pages) const { return n_pages - static_cast<int>(free.size()); }
  };
  Slab& slab_with_room();
  void give_back(std::byte* page);

  uint64_t page_bytes_;
  int slab_pages_;
  std::vector<std::unique_ptr<Slab>> slabs_;
};

}  // namespace gpt2edge
