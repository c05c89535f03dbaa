#include "generate/states/embedding.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace gpt2edge {
namespace {

// What a vector's length is at least when it is divided by it, as in torch's normalize.
constexpr double kLeastLength = 1e-12;

// Rows of states to one. The products are exact in double, so that it makes no difference whether
// a compiler fuses them with the sums.
std::vector<double> pooled(std::span<const float> states, size_t n_embd, Pooling pooling) {
  std::vector<double> sums(n_embd);
  double total = 0;
  for (size_t first = 0; first < states.size(); first += n_embd) {
    const double weight =
        pooling == Pooling::kWeighted ? static_cast<double>(first / n_embd + 1) : 1.0;
    for (size_t d = 0; d < n_embd; ++d) sums[d] += weight * double{states[first + d]};
    total += weight;
  }
  for (double& sum : sums) sum /= total;
  return sums;
}

std::vector<float> as_floats(const std::vector<double>& vector, double length) {
  std::vector<float> out(vector.size());
  std::transform(vector.begin(), vector.end(), out.begin(),
                 [&](double value) { return static_cast<float>(value / length); });
  return out;
}

// Of the vector as floats: their squares are exact in double.
double length_of(const std::vector<double>& vector) {
  double sum = 0;
  for (const double value : vector) {
    const auto rounded = double{static_cast<float>(value)};
    sum += rounded * rounded;
  }
  return std::max(std::sqrt(sum), kLeastLength);
}

}  // namespace

std::vector<std::vector<float>> embed(std::shared_ptr<Model> model, const ContextOptions& contexts,
                                      const TokenLists& texts, const EmbeddingOptions& options,
                                      const Interrupt& interrupt) {
  const auto n_embd = static_cast<size_t>(model->config().n_embd);
  std::vector<std::vector<float>> out(texts.size());
  const auto take = [&](size_t text, std::span<const float> states) {
    const std::vector<double> vector = pooled(states, n_embd, options.pooling);
    out[text] = as_floats(vector, options.normalize ? length_of(vector) : 1.0);
  };
  const WantedStates wanted{options.state, options.pooling == Pooling::kLast};
  for_each_text_states(std::move(model), contexts, texts, wanted, take, interrupt);
  return out;
}

}  // namespace gpt2edge
