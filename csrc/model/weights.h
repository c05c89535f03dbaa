// A model's parameters, packed for the kernels of this processor and held once.
#pragma once

#include <array>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "model/weight_plan.h"

namespace gpt2edge {

struct Linear {
  kernels::PackedMatrix weight;  // (n_out, n_in)
  const float* bias;             // (n_out), null for the head
};

struct Norm {
  const float* gain;  // (n_embd)
  const float* bias;  // (n_embd)
};

struct LayerWeights {
  Norm ln_1;
  Linear c_attn;       // (3 n_embd, n_embd): queries, keys and values, each head after head
  Linear attn_c_proj;  // (n_embd, n_embd)
  Norm ln_2;
  Linear c_fc;        // (n_inner, n_embd)
  Linear mlp_c_proj;  // (n_embd, n_inner)

  std::array<const Linear*, 4> linears() const {
    return {&c_attn, &attn_c_proj, &c_fc, &mlp_c_proj};
  }
};

class Weights {
 public:
  // Packs every tensor of the plan's file, on all threads of the pool. `code_bias` is the kernel
  // table's.
  Weights(const WeightPlan& plan, int code_bias, ThreadPool& pool);

  std::vector<LayerWeights> layers;
  // Of a part of a model only where they belong to it.
  Norm ln_f{};
  kernels::PackedMatrix wte{};  // (n_vocab, n_embd)
  const float* wpe = nullptr;   // (n_ctx, n_embd)
  Linear lm_head{};             // (n_vocab, n_embd): wte itself where the two are tied

  // The bytes of weights that decoding a token reads, and the multiply-adds of the layers for a
  // token (the head runs for the last token of a prompt only).
  size_t bytes_per_token() const;
  size_t multiply_adds_per_token() const;

  size_t bytes() const { return arena_.size(); }

 private:
  AlignedBuffer arena_;
};

}  // namespace gpt2edge
