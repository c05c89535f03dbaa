// The shape of a model, read from a GGUF file and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "formats/gguf.h"
#include "kernels/kernel_table.h"

namespace gpt2edge {

struct Config {
  int n_layer;
  int n_head;
  int n_embd;
  int n_inner;  // width of the feed-forward layer, 4 * n_embd in all released models
  int n_ctx;    // positions that have an embedding
  int n_vocab;
  float layer_norm_epsilon;
  kernels::Epilogue activation;  // one of those that activation_name knows

  // Of a part of a model, n_layer layers long: where it begins in the file, and whether the
  // embedding and the head belong to it.
  int first_layer = 0;
  bool has_embedding = true, has_head = true;

  int d_head() const { return n_embd / n_head; }
};

// Layers [first, last) of a file, the embedding with the first and the head with the last.
struct LayerRange {
  int first, last;
};

// Throws FormatError when a key is missing or makes no sense, UnsupportedError when the file holds
// another architecture or activation.
Config read_config(const GgufFile& file);

// Hugging Face's name of an activation function.
const char* activation_name(kernels::Epilogue activation);

// Throws std::invalid_argument for a range that is empty or not within the whole model's layers.
Config part_of(const Config& whole, LayerRange range);

// What the names of a layer's tensors begin with in the file; `layer` counts from the part's first.
std::string block_name(const Config& config, int layer);

// Throws std::invalid_argument, naming it, for a token that is not in the vocabulary.
void check_tokens(std::span<const int32_t> tokens, const Config& config);

}  // namespace gpt2edge
