#include "formats/gguf_cursor.h"

namespace gpt2edge {
namespace {

constexpr size_t kMaxNameLength = 1024;  // ggml stops at 64 for tensors; keys are shorter still

// The first bytes of a name that cannot be shown as it is.
std::string escaped(std::string_view name) {
  constexpr size_t kShown = 40;
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : name.substr(0, kShown)) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte > 0x1F && byte < 0x7F) {
      out += c;
    } else {
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return name.size() > kShown ? out + "..." : out;
}

}  // namespace

const std::byte* Cursor::take(uint64_t size, const std::string& what) {
  if (size > remaining()) {
    fail(message(what, " takes ", size, " bytes at offset ", position_, ", and the file ends after ",
                 remaining(), ": it is truncated or damaged, download or convert it again"));
  }
  const std::byte* p = bytes_.data() + position_;
  position_ += static_cast<size_t>(size);
  return p;
}

std::string_view Cursor::read_string(const std::string& what) {
  const auto length = read<uint64_t>("the length of " + what);
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
      fail(message(what, " at offset ", start, " is \"", escaped(name),
                   "\", expected printable ASCII: the file is damaged, download or convert it again"));
    }
  }
  return std::string(name);
}

void Cursor::check_count(uint64_t count, uint64_t least, const std::string& what) const {
  if (count > remaining() / least) {
    fail(message(what, " is ", count, ", and the ", remaining(),
                 " bytes left in the file cannot hold as many: it is truncated or damaged, download "
                 "or convert it again"));
  }
}

}  // namespace gpt2edge
