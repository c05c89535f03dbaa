// The values of four-bit codes that are indices into a table: ggml's kvalues, and for types whose
// numbers are points of a grid the numbers that such points are made of.
#pragma once

#include <cstdint>

#include "formats/ggml_blocks.h"

namespace gpt2edge {

constexpr int kTableCodes = 16;

// What the codes of IQ4_NL and IQ4_XS stand for; 16 steps that grow with the distance from zero.
constexpr int8_t kIQ4Table[kTableCodes] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

// A type's table, or null for the types whose codes are numbers themselves.
const int8_t* code_table(TensorType type);

}  // namespace gpt2edge
