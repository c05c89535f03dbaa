#include "c_api/handles.h"

#include <atomic>

#include "base/error.h"

namespace gpt2edge::c_api {

uintptr_t next_handle() {
  // Times an odd number: no two are equal, and small numbers and neighbours of a handle are none.
  static std::atomic<uintptr_t> count{0};
  return static_cast<uintptr_t>((count.fetch_add(1) + 1) * UINT64_C(0x9E3779B97F4A7C15));
}

void throw_bad_handle(const void* handle, const char* kind) {
  if (handle == nullptr) throw HandleError(message("the ", kind, " is null"));
  throw HandleError(message("the handle is that of no open ", kind));
}

}  // namespace gpt2edge::c_api
