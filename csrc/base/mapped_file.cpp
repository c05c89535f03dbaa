#include "base/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/error.h"

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace gpt2edge {
namespace {

[[noreturn]] void fail(const std::string& path, int error_number, const std::string& reason) {
  throw FileError(message("cannot read ", path, ": ", reason), error_number);
}

[[noreturn]] void fail(const std::string& path, int error_number) {
  fail(path, error_number, std::generic_category().message(error_number));
}

// The system would see the path's beginning only, and open another file.
void check_path(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    throw std::invalid_argument(message("the path ", quoted(path), " has a null character in it"));
  }
}

}  // namespace

#if defined(_WIN32)

namespace {

// The errno that Windows' last error corresponds to.
int last_error() {
  const std::error_code code(static_cast<int>(GetLastError()), std::system_category());
  const std::error_condition condition = code.default_error_condition();
  return condition.category() == std::generic_category() ? condition.value() : EIO;
}

std::wstring wide(const std::string& utf8) {
  const int n = MultiByteToWideChar(CP_UTF8, 0, utf8.c_str(), -1, nullptr, 0);
  std::wstring out(static_cast<size_t>(n), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, utf8.c_str(), -1, out.data(), n);
  return out;
}

struct Handle {
  HANDLE value;
  explicit Handle(HANDLE handle) : value(handle) {}
  ~Handle() {
    if (value != nullptr && value != INVALID_HANDLE_VALUE) CloseHandle(value);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  check_path(path);
  const Handle file(CreateFileW(wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                                OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  LARGE_INTEGER size{};
  if (file.value == INVALID_HANDLE_VALUE || !GetFileSizeEx(file.value, &size)) {
    fail(path, last_error());
  }
  if (static_cast<uint64_t>(size.QuadPart) > SIZE_MAX) fail(path, EFBIG);
  size_ = static_cast<size_t>(size.QuadPart);
  if (size_ == 0) return;
  const Handle mapping(CreateFileMappingW(file.value, nullptr, PAGE_READONLY, 0, 0, nullptr));
  if (mapping.value != nullptr) data_ = MapViewOfFile(mapping.value, FILE_MAP_READ, 0, 0, 0);
  if (data_ == nullptr) fail(path, last_error());
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) UnmapViewOfFile(data_);
}

void MappedFile::release(size_t, size_t) const {}

#else

MappedFile::MappedFile(const std::string& path) {
  check_path(path);
  // Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) fail(path, errno);
  struct stat info{};
  int error_number = fstat(file, &info) == 0 ? 0 : errno;
  const bool is_regular = S_ISREG(info.st_mode);
  if (error_number == 0 && S_ISDIR(info.st_mode)) error_number = EISDIR;
  if (error_number == 0 && is_regular && static_cast<uint64_t>(info.st_size) > SIZE_MAX) {
    error_number = EFBIG;
  }
  if (error_number == 0 && is_regular && info.st_size > 0) {
    size_ = static_cast<size_t>(info.st_size);
    void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) {
      error_number = errno;
    } else {
      data_ = mapped;
    }
  }
  close(file);
  if (error_number != 0) fail(path, error_number);
  if (!is_regular) fail(path, EINVAL, "it is a pipe or a device, expected a regular file");
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<void*>(data_), size_);
}

void MappedFile::release(size_t offset, size_t size) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = (offset + page - 1) / page * page, last = (offset + size) / page * page;
  if (last <= first || last > size_) return;
  // Only a hint: a system that refuses it keeps the pages a little longer.
  (void)madvise(static_cast<std::byte*>(const_cast<void*>(data_)) + first, last - first,
                MADV_DONTNEED);
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
