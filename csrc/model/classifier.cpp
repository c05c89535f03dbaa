#include "model/classifier.h"

#include <cstdint>
#include <utility>
#include <variant>

#include "base/error.h"
#include "formats/dequantize.h"

namespace gpt2edge {
namespace {

// llama.cpp's names, and keys of our own for what it has no word for.
constexpr const char* kWeight = "cls.output.weight";
constexpr const char* kBias = "cls.output.bias";
constexpr const char* kLabels = "gpt2.classifier.output_labels";
constexpr const char* kClassifies = "pygpt2edge.classifier.classifies";
constexpr const char* kProblemType = "pygpt2edge.classifier.problem_type";
constexpr const char* kPadToken = "tokenizer.ggml.padding_token_id";
constexpr const char* kLanguageModel = "pygpt2edge.language_model";

std::vector<float> floats_of(const GgufFile& file, const TensorInfo& tensor, uint64_t n_rows,
                             uint64_t n) {
  uint64_t n_found = 1;
  for (const uint64_t size : tensor.shape) n_found *= size;
  if (tensor.shape.empty() || tensor.shape.back() != n || n_found != n_rows * n) {
    throw FormatError(message(file.path(), ": tensor ", tensor.name, " is not [", n_rows, ", ", n,
                              "], as the classifier's labels and the model's width make it"));
  }
  const auto n_in = static_cast<size_t>(n);
  std::vector<float> out(static_cast<size_t>(n_rows) * n_in);
  const size_t bytes = row_bytes(tensor.type, n_in);
  file.checked([&] {
    for (size_t i = 0; i < n_rows; ++i) {
      dequantize_row(tensor.type, tensor.data + bytes * i, out.data() + n_in * i, n_in);
    }
  });
  return out;
}

bool classifies_tokens(const GgufFile& file) {
  if (file.find(kClassifies) == nullptr) return false;
  const std::string_view what = file.get_string(kClassifies);
  if (what != "texts" && what != "tokens") {
    throw UnsupportedError(message(file.path(), ": ", kClassifies, " is ", quoted(what),
                                   "; this program classifies \"texts\" and \"tokens\""));
  }
  return what == "tokens";
}

// Those of the file, or Hugging Face's names for what has none.
std::vector<std::string> labels_of(const GgufFile& file, uint64_t n) {
  std::vector<std::string> labels;
  if (file.find(kLabels) == nullptr) {
    for (uint64_t i = 0; i < n; ++i) labels.push_back("LABEL_" + std::to_string(i));
    return labels;
  }
  for (const std::string_view label : file.get_strings(kLabels)) labels.emplace_back(label);
  if (labels.size() != n) {
    throw FormatError(message(file.path(), ": ", kLabels, " has ", labels.size(), " labels, ",
                              kWeight, " ", n, " rows"));
  }
  return labels;
}

}  // namespace

std::vector<float> Classifier::logits(std::span<const float> rows) const {
  const size_t n_embd = weight.size() / labels.size();
  std::vector<float> out;
  for (; !rows.empty(); rows = rows.subspan(n_embd)) {
    for (size_t label = 0; label < labels.size(); ++label) {
      const float* w = weight.data() + n_embd * label;
      double sum = bias.empty() ? 0.0 : double{bias[label]};
      for (size_t d = 0; d < n_embd; ++d) sum += double{w[d]} * double{rows[d]};
      out.push_back(static_cast<float>(sum));
    }
  }
  return out;
}

std::shared_ptr<const Classifier> read_classifier(const GgufFile& file, const Config& config) {
  const TensorInfo* weight = file.find_tensor(kWeight);
  if (weight == nullptr) return nullptr;
  const auto n_embd = static_cast<uint64_t>(config.n_embd);
  const uint64_t n = weight->shape.size() == 2 ? weight->shape[0] : 0;
  if (n == 0) {
    throw FormatError(message(file.path(), ": tensor ", kWeight, " is not [labels, ", n_embd, "]"));
  }
  Classifier classifier{
      classifies_tokens(file), labels_of(file, n), {}, {}, floats_of(file, *weight, n, n_embd), {}};
  if (const TensorInfo* bias = file.find_tensor(kBias)) {
    classifier.bias = floats_of(file, *bias, 1, n);
  }
  if (file.find(kPadToken) != nullptr) classifier.pad_token = file.get_u32(kPadToken);
  if (file.find(kProblemType) != nullptr) classifier.problem_type = file.get_string(kProblemType);
  return std::make_shared<const Classifier>(std::move(classifier));
}

bool has_language_model(const GgufFile& file) {
  const GgufValue* value = file.find(kLanguageModel);
  if (value == nullptr) return true;
  const bool* truth = std::get_if<bool>(value);
  if (truth == nullptr) {
    throw FormatError(message(file.path(), ": ", kLanguageModel, " is not true or false"));
  }
  return *truth;
}

}  // namespace gpt2edge
