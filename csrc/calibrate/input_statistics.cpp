#include "calibrate/input_statistics.h"

#include <algorithm>
#include <stdexcept>

#include "base/error.h"

namespace gpt2edge {
namespace {

constexpr int kTile = 16;  // inputs whose products with each other stay in the cache
constexpr int kFew = 4;

// Adds the products of inputs first .. first + kTile - 1 with those from first on.
// Rows are added up in their order, whichever thread does it.
void add_products(const float* values, size_t stride, int n_rows, int n_in, int first,
                  float* products) {
  const auto n = static_cast<size_t>(n_in);
  for (int j = first; j < n_in; j += kTile) {
    for (int i = first; i < first + kTile; i += kFew) {
      float sums[kFew][kTile] = {};
      for (int row = 0; row < n_rows; ++row) {
        const float* x = values + stride * static_cast<size_t>(row);
        for (int a = 0; a < kFew; ++a) {
          for (int b = 0; b < kTile; ++b) sums[a][b] += x[i + a] * x[j + b];
        }
      }
      for (int a = 0; a < kFew; ++a) {
        float* to = products + n * static_cast<size_t>(i + a) + j;
        for (int b = 0; b < kTile; ++b) to[b] += sums[a][b];
      }
    }
  }
}

}  // namespace

InputStatistics::InputStatistics(Model& model, bool with_products) {
  const auto add = [&](const std::string& name, const Linear& linear) {
    if (!is_float(linear.weight.layout.form)) {
      throw std::invalid_argument(message(model.path(), ": ", name,
                                          " is quantized, so that its inputs are rounded: "
                                          "calibrate with an f32 or f16 file"));
    }
    const int n_in = linear.weight.layout.n_in;
    if (n_in % kTile != 0) {
      throw std::invalid_argument(
          message(model.path(), ": ", name, " has ", n_in, " inputs, expected a multiple of 16"));
    }
    const auto n = static_cast<size_t>(n_in);
    inputs_.push_back({name, &linear, n_in, 0, std::vector<float>(n), std::vector<float>(n),
                       std::vector<float>(with_products ? n * n : 0)});
  };
  const Weights& weights = model.weights();
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const LayerWeights& layer = weights.layers[i];
    const std::string block = block_name(model.config(), static_cast<int>(i));
    add(block + "attn_qkv.weight", layer.c_attn);
    add(block + "attn_output.weight", layer.attn_c_proj);
    add(block + "ffn_up.weight", layer.c_fc);
    add(block + "ffn_down.weight", layer.mlp_c_proj);
  }
  if (model.config().has_head) add("output.weight", weights.lm_head);
}

void InputStatistics::see(const Linear& linear, const float* values, size_t stride, int n_rows,
                          ThreadPool& pool) {
  const auto found = std::find_if(inputs_.begin(), inputs_.end(),
                                  [&](const Inputs& inputs) { return inputs.linear == &linear; });
  if (found == inputs_.end()) return;
  Inputs& inputs = *found;
  inputs.count += static_cast<uint64_t>(n_rows);
  for (int row = 0; row < n_rows; ++row) {
    const float* x = values + stride * static_cast<size_t>(row);
    for (size_t i = 0; i < inputs.sums.size(); ++i) {
      inputs.sums[i] += x[i];
      inputs.squares[i] += x[i] * x[i];
    }
  }
  if (inputs.products.empty()) return;
  pool.run(inputs.n_in / kTile, [&](int item, int) {
    add_products(values, stride, n_rows, inputs.n_in, item * kTile, inputs.products.data());
  });
}

}  // namespace gpt2edge
