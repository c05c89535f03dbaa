// How much memory this process can still take.
#pragma once

#include <cstdint>
#include <string>

namespace gpt2edge {

constexpr uint64_t kUnknownMemory = UINT64_MAX;

// Bytes: what the system has free, swap included, within the process's own limits and, on Linux,
// those of its control groups. kUnknownMemory where the system does not say.
uint64_t available_memory();

// The same from the files of a Linux system below `root` ("" for this one's), its process's own
// limits aside.
uint64_t available_memory_of_system(const std::string& root);

// Bytes as messages give them: MB of 10^6, rounded up.
constexpr uint64_t megabytes(uint64_t bytes) {
  return bytes / 1000000 + (bytes % 1000000 > 0 ? 1 : 0);
}

}  // namespace gpt2edge
