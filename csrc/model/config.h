// The shape of a model, read from a GGUF file and checked.
#pragma once

#include <cstddef>

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
  kernels::Epilogue activation;  // kGeluTanh or kGeluErf

  int d_head() const { return n_embd / n_head; }
};

// Throws FormatError when a key is missing or makes no sense, UnsupportedError when the file holds
// another architecture or activation.
Config read_config(const GgufFile& file);

}  // namespace gpt2edge
