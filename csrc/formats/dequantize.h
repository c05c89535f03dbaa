// Any readable tensor type to floats, by the formulas and in the float operations of ggml's
// reference (ggml-quants.c), so that the numbers are the same to the bit. Plain and scalar: the hot
// loops work on packed weights instead (kernels/panel.h).
#pragma once

#include "formats/ggml_blocks.h"

namespace gpt2edge {

// n is a multiple of the type's block size.
void dequantize_row(TensorType type, const std::byte* blocks, float* out, size_t n);

}  // namespace gpt2edge
