// Handles: numbers that stand for objects, so that a wrong one is found and never followed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "base/fork.h"

namespace gpt2edge::c_api {

class HandleError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The next handle of any kind.
uintptr_t next_handle();
[[noreturn]] void throw_bad_handle(const void* handle, const char* kind);

// The objects that the handles of type Tag* stand for. A call holds the object that it works with:
// another thread may close the handle meanwhile.
template <typename Tag, typename Object>
class Handles {
 public:
  static Tag* add(std::shared_ptr<Object> object) {
    const uintptr_t handle = next_handle();
    const std::lock_guard<std::mutex> lock(brief_mutex());
    // Where there is no memory for its place, the object ends without the lock, which its end
    // takes.
    table().emplace(handle, nullptr).first->second = std::move(object);
    return reinterpret_cast<Tag*>(handle);
  }

  static std::shared_ptr<Object> get(const Tag* handle) {
    const std::lock_guard<std::mutex> lock(brief_mutex());
    const auto found = table().find(reinterpret_cast<uintptr_t>(handle));
    if (found == table().end()) throw_bad_handle(handle, Object::kKind);
    return found->second;
  }

  // Null is fine. The object ends here, or with the last call that holds it.
  static void close(Tag* handle) {
    if (handle == nullptr) return;
    std::shared_ptr<Object> object;  // outlives the lock: its end may take long
    const std::lock_guard<std::mutex> lock(brief_mutex());
    const auto found = table().find(reinterpret_cast<uintptr_t>(handle));
    if (found == table().end()) throw_bad_handle(handle, Object::kKind);
    object = std::move(found->second);
    table().erase(found);
  }

 private:
  using Table = std::unordered_map<uintptr_t, std::shared_ptr<Object>>;
  // Never destroyed: at the process's end, threads may still be in calls.
  static Table& table() {
    static Table* const kept = new Table;
    return *kept;
  }
};

}  // namespace gpt2edge::c_api
