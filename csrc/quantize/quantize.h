// Rows of floats to the blocks of a file, bit for bit as ggml's reference quantizers make them
// (quantize_row_q8_0_ref and quantize_row_q4_0_ref of ggml-quants.c).
#pragma once

#include <cstddef>

#include "formats/ggml_blocks.h"

namespace gpt2edge {

// The types that quantize_rows writes: F32, F16, BF16, Q8_0, Q4_0.
bool can_quantize_to(TensorType type);

// Throws std::invalid_argument unless rows of n_in numbers can be written as this type.
void check_quantizable(TensorType type, size_t n_in);

// Where a block's scale comes from.
enum class Scales {
  kReference,  // the block's largest number, as in ggml
  kSearch,     // the least squared error (scale_search.h); slower, same format
};

// `values` is (n_rows, n_in), n_in a multiple of the type's block size; `out` has room for
// n_rows * row_bytes(type, n_in). Throws std::invalid_argument, naming row (counted from first_row)
// and column, for a number that is not finite or that the type cannot hold.
void quantize_rows(TensorType type, const float* values, size_t n_rows, size_t n_in, std::byte* out,
                   size_t first_row = 0, Scales scales = Scales::kReference);

}  // namespace gpt2edge
