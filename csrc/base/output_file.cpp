#include "base/output_file.h"

#include <atomic>
#include <cerrno>
#include <system_error>

#include "base/error.h"
#include "base/wide_path.h"
#include "base/windows_api.h"

#if defined(_WIN32)
#include <io.h>
#include <process.h>
#else
#include <fcntl.h>
#include <unistd.h>
#endif

namespace gpt2edge {
namespace {

#if defined(_WIN32)

int process_id() { return _getpid(); }

std::FILE* create(const std::string& path) { return _wfopen(wide_path(path).c_str(), L"wbx"); }
bool flush(std::FILE* file) { return std::fflush(file) == 0 && _commit(_fileno(file)) == 0; }
bool replace(const std::string& from, const std::string& to) {
  if (MoveFileExW(wide_path(from).c_str(), wide_path(to).c_str(), MOVEFILE_REPLACE_EXISTING) != 0) {
    return true;
  }
  errno = EACCES;
  return false;
}
void remove(const std::string& path) { _wremove(wide_path(path).c_str()); }
void flush_folder(const std::string&) {}  // Windows has no such call

#else

int process_id() { return static_cast<int>(getpid()); }
std::FILE* create(const std::string& path) { return std::fopen(path.c_str(), "wbxe"); }
bool flush(std::FILE* file) { return std::fflush(file) == 0 && fsync(fileno(file)) == 0; }
bool replace(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0;
}
void remove(const std::string& path) { (void)unlink(path.c_str()); }

// Makes the new name last through a power cut. A file system that cannot do that has no remedy.
void flush_folder(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int descriptor = open(folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  (void)fsync(descriptor);
  close(descriptor);
}

#endif

// Beside the target; the name begins with a dot and is this process's alone.
std::string temporary_name(const std::string& path) {
  static std::atomic<int> count{0};
  const size_t name = path.find_last_of("/\\") + 1;
  return message(path.substr(0, name), ".", path.substr(name), ".", process_id(), ".",
                 count.fetch_add(1), ".part");
}

}  // namespace

OutputFile::OutputFile(const std::string& path)
    : path_(path), temporary_(temporary_name(path)), file_(create(temporary_)) {
  if (file_ == nullptr) fail();
}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;  // finished
  file_.reset();
  remove(temporary_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail();
}

void OutputFile::finish() {
  if (!flush(file_.get())) fail();
  if (std::fclose(file_.release()) != 0 || !replace(temporary_, path_)) {
    const int error_number = errno;
    remove(temporary_);
    errno = error_number;
    fail();
  }
  flush_folder(path_);
}

void OutputFile::fail() const {
  const int error_number = errno;
  throw FileError(
      message("cannot write ", path_, ": ", std::generic_category().message(error_number)),
      error_number);
}

}  // namespace gpt2edge
