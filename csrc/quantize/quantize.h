// Rows of floats to the blocks of a file.
#pragma once

#include <cstddef>

#include "formats/ggml_blocks.h"

namespace gpt2edge {

// The types that quantize_rows writes: F32, F16, BF16 and those with a code set (code_grid.h).
bool can_quantize_to(TensorType type);

// Those that can be written as ggml's reference quantizers do: the floats, Q8_0, Q4_0.
bool has_reference(TensorType type);

// Throws std::invalid_argument unless rows of n_in numbers can be written as this type.
void check_quantizable(TensorType type, size_t n_in);

// Throws std::invalid_argument, naming row (counted from first_row) and column, for a number that
// is not finite or that the type cannot hold.
void check_rows(TensorType type, const float* values, size_t n_rows, size_t n_in, size_t first_row);

// Where a block's scales come from.
enum class Rounding {
  kReference,  // the block's largest number, bit for bit as ggml's reference quantizers
               // (quantize_row_q8_0_ref and quantize_row_q4_0_ref of ggml-quants.c); types that
               // have none here are searched
  kSearch,     // the least squared error, never above the reference's
};

// `values` is (n_rows, n_in), n_in a multiple of the type's block size; `out` has room for
// n_rows * row_bytes(type, n_in). `weights`, of the n_in columns' squared errors, are positive and
// not far from 1; null: all are 1. Throws as check_rows does.
void quantize_rows(TensorType type, const float* values, size_t n_rows, size_t n_in, std::byte* out,
                   size_t first_row = 0, Rounding rounding = Rounding::kReference,
                   const float* weights = nullptr);

}  // namespace gpt2edge
