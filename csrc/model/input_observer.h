// Sees what goes into the matrices of a model during its passes.
#pragma once

#include <cstddef>

#include "base/thread_pool.h"
#include "model/weights.h"

namespace gpt2edge {

class InputObserver {
 public:
  virtual ~InputObserver() = default;
  // n_rows rows of values on their way into a matrix, before it is applied; null where the matrix
  // takes codes. The head's are those of all rows, whether their logits are wanted or not. `pool`
  // is free for use.
  virtual void see(const Linear& linear, const float* values, size_t stride, int n_rows,
                   ThreadPool& pool) = 0;
};

}  // namespace gpt2edge
