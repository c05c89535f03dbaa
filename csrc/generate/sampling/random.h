// Random numbers that can be asked for in any order.
//
// Draw number i of a seed is a pure function of (seed, i): there is no state to carry along. So a
// session that is resumed, or a speculation that is verified later, sees the very numbers that the
// plain way would have seen, on every machine.
#pragma once

#include <cstdint>

namespace gpt2edge {

// 64 random bits: the first half of Philox4x32-10 with the seed as key and (draw, stream) as
// counter. The draws of one stream say nothing about those of another.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
uint64_t random_bits(uint64_t seed, uint64_t draw, uint32_t stream = 0);

// Uniform in [0, 1), a multiple of 2^-53.
double random_uniform(uint64_t seed, uint64_t draw, uint32_t stream = 0);

// A seed that nobody chose: from the system's source of random numbers.
uint64_t drawn_seed();

}  // namespace gpt2edge
