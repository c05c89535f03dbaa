// An owning block of zeroed memory, aligned to pages and, when large, to huge pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gpt2edge {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;

  // Throws std::bad_alloc without memory.
  explicit AlignedBuffer(uint64_t size) {
    if (size == 0) return;
    if (size > SIZE_MAX / 2) throw std::bad_alloc();
    size_ = static_cast<size_t>(size);
    data_ = allocate(rounded(size_), alignment_for(size_));
    if (data_ == nullptr) throw std::bad_alloc();
  }

  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { release(data_, rounded(size_)); }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  static constexpr size_t kPage = 65536;  // the largest page size in common use
  static constexpr size_t kHugePage = size_t{2} << 20;

  static size_t alignment_for(size_t size) { return size >= kHugePage ? kHugePage : kPage; }
  static size_t rounded(size_t size) {
    const size_t alignment = alignment_for(size);
    return (size + alignment - 1) / alignment * alignment;
  }

#if defined(__linux__)
  // Straight from the system: zeroed, and taken page by page as it is first written, so that a
  // cache for 1,024 positions costs little while 20 are in use.
  static std::byte* allocate(size_t size, size_t alignment) {
    const size_t mapped = size + alignment;
    void* base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    const auto address = reinterpret_cast<uintptr_t>(base);
    const size_t skip = (alignment - address % alignment) % alignment;
    if (skip > 0) munmap(base, skip);
    if (mapped > skip + size) munmap(static_cast<std::byte*>(base) + skip + size, alignment - skip);
    std::byte* data = static_cast<std::byte*>(base) + skip;
    // Weights are read in order for every token: huge pages need fewer TLB entries.
    if (alignment == kHugePage) madvise(data, size, MADV_HUGEPAGE);
    return data;
  }
  static void release(std::byte* data, size_t size) {
    if (data != nullptr) munmap(data, size);
  }
#else
  static std::byte* allocate(size_t size, size_t alignment) {
    void* data = ::operator new(size, std::align_val_t{alignment}, std::nothrow);
    if (data != nullptr) std::memset(data, 0, size);
    return static_cast<std::byte*>(data);
  }
  static void release(std::byte* data, size_t size) {
    ::operator delete(data, std::align_val_t{alignment_for(size)});
  }
#endif

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace gpt2edge
