// A counter-based random number generator.
//
// Draw number i of a seed is a pure function of (seed, i), without state. A resumed text or a
// verified draft therefore uses the same numbers as an uninterrupted text, on every machine.
#pragma once

#include <cstdint>

namespace gpt2edge {

// 64 random bits: the first half of Philox4x32-10 with the seed as key and (draw, stream) as
// counter. Streams are independent of each other.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
uint64_t random_bits(uint64_t seed, uint64_t draw, uint32_t stream = 0);

// Uniform in [0, 1), a multiple of 2^-53.
double random_uniform(uint64_t seed, uint64_t draw, uint32_t stream = 0);

// A seed that nobody chose: from the system's source of random numbers.
uint64_t drawn_seed();

}  // namespace gpt2edge
