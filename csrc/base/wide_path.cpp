#include "base/wide_path.h"
#include "base/windows_api.h"

#if defined(_WIN32)

namespace gpt2edge {

std::wstring wide_path(const std::string& utf8) {
  const int n = MultiByteToWideChar(CP_UTF8, 0, utf8.c_str(), -1, nullptr, 0);
  std::wstring out(static_cast<size_t>(n), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, utf8.c_str(), -1, out.data(), n);
  return out;
}

}  // namespace gpt2edge
#endif
