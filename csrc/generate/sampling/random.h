// A counter-based random number generator.
//
// Draw number i of a seed is a pure function of (seed, i), without state. A resumed text or a
// verified draft therefore uses the same numbers as an uninterrupted text, on every machine.
#pragma once

#include <array>
#include <cstdint>

namespace gpt2edge {

using RandomWords = std::array<uint32_t, 4>;

// 128 random bits: Philox4x32-10 with the seed as key and (draw, stream, index) as counter. Streams
// and indices are independent of each other.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
RandomWords random_words(uint64_t seed, uint64_t draw, uint32_t stream, uint32_t index = 0);

// The first half of them.
inline uint64_t first_half(const RandomWords& words) { return uint64_t{words[1]} << 32 | words[0]; }

// Uniform in [0, 1), a multiple of 2^-53, of the first half.
double random_uniform(uint64_t seed, uint64_t draw, uint32_t stream);

// A seed that nobody chose: from the system's source of random numbers.
uint64_t drawn_seed();

}  // namespace gpt2edge
