// The pages of one text: a ring of page slots that its contexts share.
//
// A text that slides has the current context, A, and the beginning of the next, N. Each is a run of
// consecutive slots, modulo the ring's size. A has slots for a whole context from `tail` on, N
// begins after them: with a context of 8 pages of which the next keeps 4, the ring has 12 slots.
//
//       head          tail                                      head: where N writes its next page
//        v             v                                        tail: the first page of A
//   | N2 |    | A0 | A1 | A2 | A3 | A4 | A5 | A6 | A7 | N0 | N1 |
//
// When A is full, N becomes the current context: tail moves to N0, and nothing else changes. The
// pages of A stay in their slots, which N reuses from A0's on; after a whole context the next one
// begins. So after the first round no page is allocated, copied or freed, and a text never has more
// pages than its ring has slots.
//
// The kept tokens (sink tokens) are the same in every context. Their whole pages are in fixed slots
// before the ring, which all contexts of the text share.
//
// A page may also belong to other texts with the same beginning. A ring copies such a page before
// it writes to it, and allocates another one for its slot in the next round.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "model/page_pool.h"

namespace gpt2edge {

class PageRing {
 public:
  // n_fixed fixed slots, and n_rotating rotating ones, 1 or more. Pages are allocated when a slot
  // is first written to, so that a short text takes little memory.
  PageRing(std::shared_ptr<PagePool> pool, int n_fixed, int n_rotating);

  // The slot of a page of the context whose run begins at rotating slot `first`.
  int slot(int first, int page) const;
  // The rotating slot that is n behind `first`.
  int advanced(int first, int n) const { return (first + n) % n_rotating_; }

  int n_fixed() const { return n_fixed_; }
  int capacity() const { return n_fixed_ + n_rotating_; }
  const std::shared_ptr<PagePool>& pool() const { return pool_; }

  // The page of a slot, made this ring's own: copied where others have it too. Throws
  // std::bad_alloc; then nothing has changed.
  std::byte* own(int slot);
  // A page of zeros for a slot, whose old one is used again where nobody else has it. Throws
  // std::bad_alloc; then nothing has changed.
  std::byte* renew(int slot);
  // Has the slot's page in common with another ring, or, for null, gives it up.
  void set(int slot, Page page);
  // Gives up all pages.
  void clear();
  const Page& page(int slot) const { return slots_[static_cast<size_t>(slot)]; }

 private:
  std::shared_ptr<PagePool> pool_;
  int n_fixed_, n_rotating_;
  std::vector<Page> slots_;
};

}  // namespace gpt2edge
