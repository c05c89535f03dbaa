// The head of a model that was fine-tuned to classify texts or their tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "model/config.h"

namespace gpt2edge {

// logits = weight x + bias, of the last hidden state: of a text's last token, or of every token.
struct Classifier {
  bool of_tokens;
  std::vector<std::string> labels;
  std::optional<uint32_t> pad_token;  // may follow the token that a text is classified by
  std::string problem_type;   // Hugging Face's word for what the logits mean; empty: not said
  std::vector<float> weight;  // (labels.size(), n_embd)
  std::vector<float> bias;    // (labels.size()), or empty

  // A logit for each label, for each row of n_embd floats. Sums are made in double, in the order of
  // the inputs: the same bits on every processor.
  std::vector<float> logits(std::span<const float> rows) const;
};

// Of a whole model's file; null where it has none. Throws FormatError for a head that does not fit
// the model, and UnsupportedError for one of another kind.
std::shared_ptr<const Classifier> read_classifier(const GgufFile& file, const Config& config);

// Whether the model was trained to predict tokens: one with a classifier may have lost that.
bool has_language_model(const GgufFile& file);

}  // namespace gpt2edge
