// Paths as Windows' own functions take them.
#pragma once

#if defined(_WIN32)
#include <string>

namespace gpt2edge {

std::wstring wide_path(const std::string& utf8);

}  // namespace gpt2edge
#endif
