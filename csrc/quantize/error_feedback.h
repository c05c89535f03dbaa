// Rounding that makes up for itself: the error of each column of a matrix is taken to the columns
// that are still to be rounded, as far as their inputs go together.
//
// With inputs x whose second moments are H = E[x x^T], rows w and their rounded form q, the
// output's mean squared error is (w - q) H (w - q)^T. H = M D M^T, M upper triangular with a
// diagonal of ones, makes of it the sum of D[k] * (target[k] - q[k])^2, target[k] = w[k] + the sum
// over j < k of (w[j] - q[j]) * M[j][k]. So each column in turn is rounded to its target, and D
// weighs the errors in the search of scales. (GPTQ of Frantar et al., arXiv:2210.17323, in the form
// of LDLQ of Chee et al., arXiv:2307.13304; with scales by blocks, chosen when a block is reached.)
#pragma once

#include <cstddef>
#include <functional>

#include "formats/ggml_blocks.h"

namespace gpt2edge {

// Calls a part of some work for slices [first, last) of n items, on several threads or one.
using InSlices =
    std::function<void(size_t n, const std::function<void(size_t first, size_t last)>& part)>;

// Turns second moments (n, n) into M, in place, and D. `damping` of the diagonal's mean is added to
// the diagonal. The result does not depend on the slices.
void factor_moments(float* moments, size_t n, float damping, float* weights,
                    const InSlices& in_slices);

struct ErrorFeedback {
  const float* weights;  // D (n_in)
  const float* matrix;   // M (n_in, n_in)
};

// As quantize_rows of quantize.h. The type must have a code set.
void quantize_rows_with_feedback(TensorType type, const float* values, size_t n_rows, size_t n_in,
                                 const ErrorFeedback& feedback, std::byte* out, size_t first_row);

}  // namespace gpt2edge
