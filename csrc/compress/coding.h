// Tokens to a code and back, with a model's probabilities.
//
// The logits of a token depend only on the tokens before it, so that a text is coded in passes of
// many of its tokens, and decoded a token of each of many texts at a time.
// Source: Delétang et al., "Language Modeling Is Compression", 2023, arXiv:2309.10668, section 2.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compress/text_decoder.h"
#include "model/model.h"

namespace gpt2edge {

struct CodingModel {
  std::shared_ptr<Model> model;
  int n_ctx;      // positions of a context
  int32_t start;  // what a text begins after

  // Throws std::invalid_argument for an n_ctx that the model does not have, and UnsupportedError
  // where its vocabulary is too large.
  void check() const;
};

// Called with how many bytes of the texts are done.
using CodingProgress = std::function<void(uint64_t n_bytes)>;

struct CodedTokens {
  std::string code;
  std::vector<FrequencyInterval> intervals;  // of each token
};

// Ends early where the code grows longer than `most` bytes. Throws what Sequence::append does.
CodedTokens encode_tokens(const CodingModel& coding, std::span<const int32_t> tokens, size_t most,
                          const Interrupt& interrupt,
                          const std::function<void(size_t n_tokens)>& progress);

// Decodes texts to their ends, up to n_parallel at a time. Throws what TextDecoder::add and
// Sequence::append do.
void decode_texts(const CodingModel& coding, std::span<TextDecoder> texts, int n_parallel,
                  const Interrupt& interrupt, const CodingProgress& progress);

// Bytes that each text takes for its keys and values while it is decoded.
uint64_t bytes_of_context(const CodingModel& coding);

}  // namespace gpt2edge
