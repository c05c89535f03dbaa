#include "base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.h"

#if defined(_WIN32)
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace gpt2edge {
namespace {

[[noreturn]] void fail(const std::string& path, int error_number) {
  throw FileError(message("cannot read ", path, ": ",
                          std::generic_category().message(error_number)),
                  error_number);
}

}  // namespace

#if defined(_WIN32)

MappedFile::MappedFile(const std::string& path) {
  const int n = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
  std::wstring wide(static_cast<size_t>(n), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, wide.data(), n);
  const HANDLE file = CreateFileW(wide.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    fail(path, GetLastError() == ERROR_FILE_NOT_FOUND ? ENOENT : EACCES);
  }
  LARGE_INTEGER size{};
  GetFileSizeEx(file, &size);
  size_ = static_cast<size_t>(size.QuadPart);
  if (size_ > 0) {
    const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
    if (mapping != nullptr) {
      data_ = static_cast<const std::byte*>(MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0));
      CloseHandle(mapping);
    }
  }
  CloseHandle(file);
  if (size_ > 0 && data_ == nullptr) fail(path, ENOMEM);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) UnmapViewOfFile(data_);
}

void MappedFile::release(size_t, size_t) const {}

#else

MappedFile::MappedFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(path, errno);
  struct stat info{};
  int error_number = fstat(file, &info) == 0 ? 0 : errno;
  if (error_number == 0 && S_ISDIR(info.st_mode)) error_number = EISDIR;
  if (error_number == 0 && !S_ISREG(info.st_mode)) error_number = EINVAL;
  if (error_number == 0 && info.st_size > 0) {
    size_ = static_cast<size_t>(info.st_size);
    void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) {
      error_number = errno;
    } else {
      data_ = static_cast<const std::byte*>(mapped);
    }
  }
  close(file);
  if (error_number != 0) fail(path, error_number);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(size_t offset, size_t size) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = (offset + page - 1) / page * page, last = (offset + size) / page * page;
  if (last <= first || last > size_) return;
  // Only a hint: a system that refuses it keeps the pages a little longer.
  (void)madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

#endif

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace gpt2edge
