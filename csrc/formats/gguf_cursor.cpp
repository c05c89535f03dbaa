#include "formats/gguf_cursor.h"

namespace gpt2edge {
namespace {

constexpr size_t kMaxNameLength = 1024;  // ggml stops at 64 for tensors; keys are shorter still

}  // namespace

const std::byte* Cursor::take(uint64_t size, const std::string& what) {
  if (size > remaining()) {
    fail(message(what, " takes ", size, " bytes at offset ", position_,
                 ", and the file ends after ", remaining(),
                 ": it is truncated or damaged, download or convert it again"));
  }
  const std::byte* p = bytes_.data() + position_;
  position_ += static_cast<size_t>(size);
  return p;
}

std::string_view Cursor::read_string(const std::string& what) {
  // A vocabulary has 100,000 strings: the error message is built only when it is needed.
  if (remaining() < sizeof(uint64_t)) take(sizeof(uint64_t), "the length of " + what);
  const auto length = read<uint64_t>(what);
  const std::byte* text = take(length, what);
  return {reinterpret_cast<const char*>(text), static_cast<size_t>(length)};
}

std::string Cursor::read_name(const std::string& what) {
  const size_t start = position_;
  const std::string_view name = read_string(what);
  if (name.empty() || name.size() > kMaxNameLength) {
    fail(message(what, " at offset ", start, " has ", name.size(), " bytes, expected 1 to ",
                 kMaxNameLength, ": the file is damaged, download or convert it again"));
  }
  for (const char c : name) {
    if (c < 0x20 || c > 0x7E) {
      fail(
          message(what, " at offset ", start, " is ", quoted(name),
                  ", expected printable ASCII: the file is damaged, download or convert it again"));
    }
  }
  return std::string(name);
}

void Cursor::check_count(uint64_t count, uint64_t least, const std::string& what) const {
  if (count > remaining() / least) {
    fail(
        message(what, " is ", count, ", and the ", remaining(),
                " bytes left in the file cannot hold as many: it is truncated or damaged, download "
                "or convert it again"));
  }
}

}  // namespace gpt2edge
