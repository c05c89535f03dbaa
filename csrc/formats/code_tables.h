// The numbers that four-bit codes stand for, in the types where a code chooses from a table (ggml's
// kvalues of ggml-common.h) or from the numbers that a grid's points are made of.
#pragma once

#include <cstdint>

#include "formats/ggml_blocks.h"

namespace gpt2edge {

constexpr int kTableCodes = 16;

// What the codes of IQ4_NL and IQ4_XS stand for; 16 steps that grow with the distance from zero.
constexpr int8_t kIQ4Table[kTableCodes] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

// Floats of four bits, E2M1, times two.
constexpr int8_t kFP4Table[kTableCodes] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// The sizes of a grid point's numbers, which have signs of their own; and those of IQ1, eight times
// -1, 0 or 1, to which delta is added as 1 or -1.
constexpr int8_t kIQ2Sizes[4] = {8, 25, 43, 0};
constexpr int8_t kIQ3XXSSizes[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr int8_t kIQ3SSizes[8] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr int8_t kIQ1Sizes[4] = {-8, 0, 8, 0};

// All numbers that the codes of a type can be, or null for the types that have no such table: of
// those, codes are computed with.
const int8_t* code_table(TensorType type);

}  // namespace gpt2edge
