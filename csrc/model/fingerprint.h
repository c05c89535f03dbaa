// A number that tells models apart.
#pragma once

#include <cstdint>

#include "formats/gguf.h"

namespace gpt2edge {

// From each tensor's name, type, shape, first and last bytes: two checksums (CRC-32C), one of the
// first bytes and one of the last. It is no defence against a file that is made to look like
// another.
uint64_t fingerprint(const GgufFile& file);

}  // namespace gpt2edge
