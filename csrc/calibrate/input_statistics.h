// What goes into the matrices of a model while it reads a text: of each matrix the sum of its
// inputs, of their squares and, if wanted, of the products of every two.
#pragma once

#include <string>
#include <vector>

#include "model/model.h"

namespace gpt2edge {

class InputStatistics : public InputObserver {
 public:
  struct Inputs {
    std::string name;  // of the matrix, as the file has it
    const Linear* linear;
    int n_in;
    uint64_t count = 0;
    std::vector<float> sums, squares;  // (n_in)
    std::vector<float> products;       // (n_in, n_in), the part right of the diagonal; or empty
  };

  // Throws std::invalid_argument for a model whose matrices are not floats: its inputs are rounded.
  InputStatistics(Model& model, bool with_products);

  void see(const Linear& linear, const float* values, size_t stride, int n_rows,
           ThreadPool& pool) override;

  const std::vector<Inputs>& inputs() const { return inputs_; }

 private:
  std::vector<Inputs> inputs_;
};

}  // namespace gpt2edge
