// The random number of each token at a draw: exponential, of mean 1, independent of all others.
//
// The token drawn is the one whose noise divided by its weight is the least: candidate i with
// probability weight i / sum of the weights. (The greatest of logit / temperature - ln(noise),
// where -ln(noise) is Gumbel's distribution, is the same.) The noise depends on nothing but seed,
// draw and token, neither on the other candidates nor on their order: models whose distributions
// are alike, such as a model and its draft, mostly draw the same token. Source: Daliri, Musco,
// Suresh, "Coupling without Communication and Drafter-Invariant Speculative Decoding", 2024 (arXiv
// 2408.07978).
//
// Tokens come in blocks. The least noise of a block is a number of its own, of mean 1 /
// kNoiseBlock, which each of its tokens is as likely to have; the noise of the others exceeds it by
// exponentials of mean 1. So one number tells of most blocks of a vocabulary that none of their
// tokens is drawn. Source: Maddison, Tarlow, Minka, "A* Sampling", NeurIPS 2014.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gpt2edge {

constexpr size_t kNoiseBlock = 64;

struct LeastNoise {
  double noise;
  int32_t token;  // which has it; after the last block's tokens there may be none of that id
};

class Noise {
 public:
  Noise(uint64_t seed, uint64_t draw) : seed_(seed), draw_(draw) {}

  // The least of block i: tokens kNoiseBlock * i to kNoiseBlock * (i + 1) - 1.
  LeastNoise least_of(size_t block) const;
  // That of a token's block.
  LeastNoise least_beside(int32_t token) const;

  // The noise of a token, whose block has that least noise.
  double of(int32_t token, const LeastNoise& least) const;

 private:
  uint64_t seed_, draw_;
};

}  // namespace gpt2edge
