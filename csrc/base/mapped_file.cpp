#include "base/mapped_file.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>

#include "base/error.h"
#include "base/wide_path.h"
#include "base/windows_api.h"

#if defined(_WIN32)
#include <io.h>
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

struct Handle {
  HANDLE value;
  explicit Handle(HANDLE handle) : value(handle) {}
  ~Handle() {
    if (value != nullptr && value != INVALID_HANDLE_VALUE) CloseHandle(value);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

// An empty file cannot be mapped.
std::span<const std::byte> map(HANDLE file, const std::string& name) {
  LARGE_INTEGER size{};
  if (!GetFileSizeEx(file, &size)) fail(name, last_error());
  if (static_cast<uint64_t>(size.QuadPart) > SIZE_MAX) fail(name, EFBIG);
  if (size.QuadPart == 0) return {};
  const Handle mapping(CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr));
  if (mapping.value == nullptr) fail(name, last_error());
  const void* data = MapViewOfFile(mapping.value, FILE_MAP_READ, 0, 0, 0);
  if (data == nullptr) fail(name, last_error());
  return {static_cast<const std::byte*>(data), static_cast<size_t>(size.QuadPart)};
}

}  // namespace

MappedFile::Mapping::Pages::~Pages() { UnmapViewOfFile(bytes.data()); }

MappedFile::MappedFile(const std::string& path) {
  check_path(path);
  const Handle file(CreateFileW(wide_path(path).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                                OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
  if (file.value == INVALID_HANDLE_VALUE) fail(path, last_error());
  take(map(file.value, path));
}

MappedFile::MappedFile(int descriptor, const std::string& name) {
  const intptr_t handle = descriptor < 0 ? -1 : _get_osfhandle(descriptor);
  if (handle == -1) fail(name, EBADF);
  take(map(reinterpret_cast<HANDLE>(handle), name));
}

void MappedFile::release(size_t, size_t) const {}

#else

namespace {

struct Descriptor {
  int value;
  explicit Descriptor(int descriptor) : value(descriptor) {}
  ~Descriptor() {
    if (value >= 0) close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

// An empty file cannot be mapped.
std::span<const std::byte> map(int file, const std::string& name) {
  struct stat info{};
  if (fstat(file, &info) != 0) fail(name, errno);
  if (S_ISDIR(info.st_mode)) fail(name, EISDIR);
  if (!S_ISREG(info.st_mode)) {
    fail(name, EINVAL, "it is a pipe or a device, expected a regular file");
  }
  if (static_cast<uint64_t>(info.st_size) > SIZE_MAX) fail(name, EFBIG);
  if (info.st_size == 0) return {};
  const auto size = static_cast<size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) fail(name, errno);
  return {static_cast<const std::byte*>(data), size};
}

}  // namespace

MappedFile::Mapping::Pages::~Pages() { munmap(const_cast<std::byte*>(bytes.data()), bytes.size()); }

MappedFile::MappedFile(const std::string& path) {
  check_path(path);
  // Without O_NONBLOCK, opening a pipe would wait for a writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.value < 0) fail(path, errno);
  take(map(file.value, path));
}

MappedFile::MappedFile(int descriptor, const std::string& name) { take(map(descriptor, name)); }

void MappedFile::release(size_t offset, size_t size) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = (offset + page - 1) / page * page, last = (offset + size) / page * page;
  if (mapping_ == nullptr || last <= first || last > bytes_.size()) return;
  // Only a hint: a system that refuses it keeps the pages a little longer.
  (void)madvise(const_cast<std::byte*>(bytes_.data()) + first, last - first, MADV_DONTNEED);
}

#endif

void MappedFile::take(std::span<const std::byte> mapped) {
  if (!mapped.empty()) mapping_ = std::make_unique<Mapping>(mapped);
  bytes_ = mapped;
}

void MappedFile::check_read(const std::string& name) const {
  // The reads come before this, not after: what the handler of their signal says is asked for.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (mapping_ == nullptr || !mapping_->has_lost_pages()) return;
  fail(name, EIO,
       "it was shortened while it was being read, or its disk fails: leave the file as it is "
       "while it is opened, or copy it anew");
}

}  // namespace gpt2edge
