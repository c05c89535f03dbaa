// What looks at a model: scores of tokens, attention weights.
#include <algorithm>

#include "c_api/objects.h"
#include "generate/score.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

gpt2edge_status gpt2edge_score(gpt2edge_model* model, const int32_t* tokens, size_t n_tokens,
                               float* logprobs) {
  return guarded([&] {
    const auto loaded = Models::get(model);
    const auto given = array_of(tokens, n_tokens, "tokens");
    if (given.empty()) return;
    required(logprobs, "the place for the log-probabilities");
    const auto scores = score(loaded->model, loaded->contexts, start_token(*loaded->vocabulary),
                              given, loaded->interrupt);
    std::copy(scores.begin(), scores.end(), logprobs);
  });
}

gpt2edge_status gpt2edge_attention(gpt2edge_model* model, const int32_t* tokens, size_t n_tokens,
                                   const int32_t* layers, size_t n_layers, float* weights,
                                   size_t capacity, size_t* n_weights) {
  return guarded([&] {
    const auto loaded = Models::get(model);
    const auto given = array_of(tokens, n_tokens, "tokens");
    const auto wanted = array_of(layers, n_layers, "layers");
    Sequence sequence(loaded->model, loaded->contexts.positions(*loaded->model),
                      loaded->contexts.cache_type);
    sequence.check(given);
    const Config& config = loaded->model->config();
    const auto n = static_cast<int>(n_tokens);
    const size_t size = AttentionWeights::size(config, wanted.size(), n, n);
    required(n_weights, "the place for the number of elements") = size;
    if (weights == nullptr) return;
    if (capacity < size) {
      throw BufferError(
          message("the array has room for ", capacity, " elements, there are ", size));
    }
    const auto into = AttentionWeights::of(config, wanted, n, n, weights);
    const Sequence::Part part{&sequence, given, 1, nullptr, &into};
    Sequence::append({&part, 1}, loaded->interrupt);
  });
}
