#include "c_api/handles.h"

#include <atomic>

#include "base/error.h"

namespace gpt2edge::c_api {

uintptr_t next_handle() {
  static std::atomic<uintptr_t> last{1};
  return last.fetch_add(2) + 2;
}

void throw_bad_handle(const void* handle, const char* kind) {
  if (handle == nullptr) throw HandleError(message("the ", kind, " is null"));
  throw HandleError(message("the handle is that of no open ", kind));
}

}  // namespace gpt2edge::c_api
