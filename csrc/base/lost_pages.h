// Pages of a mapped file that the system cannot give: the file was shortened meanwhile, or its disk
// or network fails. The system sends SIGBUS to whoever reads such a page, which ends the process.
// In a watched range they read as zeros instead, and the range tells it. What lies outside goes to
// the handler that was there before, or ends the process as ever.
//
// Windows needs none of it: it refuses to shorten a file that is mapped.
#pragma once

#include <cstddef>

namespace gpt2edge {

struct LostPagesEntry;

class WatchedRange {
 public:
  // A whole mapping, which outlives this. Throws std::bad_alloc.
  WatchedRange(const void* begin, size_t size);
  ~WatchedRange();
  WatchedRange(const WatchedRange&) = delete;
  WatchedRange& operator=(const WatchedRange&) = delete;

  // Whether a page that was read since was not there.
  bool has_lost_pages() const;

 private:
  LostPagesEntry* entry_;
};

}  // namespace gpt2edge
