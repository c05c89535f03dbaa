#include "model/config.h"

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"

namespace gpt2edge {
namespace {

// Far beyond any GPT-2, and small enough that sizes computed from two of these fit in a size_t: a
// matrix in f32, a row of logits for every position.
constexpr bool kIs64Bit = sizeof(size_t) == 8;
constexpr uint32_t kLargestDimension = kIs64Bit ? 1 << 20 : 1 << 13;
constexpr uint32_t kLargestVocabulary = kIs64Bit ? 1 << 22 : 1 << 16;
constexpr uint64_t kLargestEmbedding = uint64_t{4} * kLargestDimension * kLargestDimension;

constexpr std::pair<const char*, kernels::Epilogue> kActivations[] = {
    {"gelu_new", kernels::Epilogue::kGeluTanh},
    {"gelu", kernels::Epilogue::kGeluErf},
    {"quick_gelu", kernels::Epilogue::kQuickGelu},
    {"silu", kernels::Epilogue::kSilu},
    {"relu", kernels::Epilogue::kRelu},
    {"tanh", kernels::Epilogue::kTanh},
};

int dimension(const GgufFile& file, const std::string& key) {
  const uint32_t value = file.get_u32(key);
  if (value == 0 || value > kLargestDimension) {
    throw FormatError(message(file.path(), ": ", key, " is ", value, ", expected 1 to ",
                              kLargestDimension, ": the file is damaged"));
  }
  return static_cast<int>(value);
}

kernels::Epilogue activation(const GgufFile& file) {
  const std::string key = "pygpt2edge.activation_function";
  if (file.find(key) == nullptr) return kernels::Epilogue::kGeluTanh;
  const std::string name{file.get_string(key)};
  std::string known;
  for (const auto& [named, function] : kActivations) {
    if (name == named) return function;
    known += known.empty() ? named : std::string(", ") + named;
  }
  throw UnsupportedError(message(file.path(), ": ", key, " is ", quoted(name),
                                 "; what this program computes are ", known));
}

}  // namespace

const char* activation_name(kernels::Epilogue activation) {
  for (const auto& [name, function] : kActivations) {
    if (function == activation) return name;
  }
  throw std::logic_error("an epilogue that is no activation function");
}

Config read_config(const GgufFile& file) {
  const std::string architecture{file.get_string("general.architecture")};
  if (architecture != "gpt2") {
    throw UnsupportedError(message(file.path(), ": general.architecture is ", quoted(architecture),
                                   "; this program runs \"gpt2\" models only"));
  }
  if (file.find("split.count") != nullptr && file.get_u32("split.count") > 1) {
    throw UnsupportedError(message(file.path(), ": one of ", file.get_u32("split.count"),
                                   " parts (split.count): merge them into one file first, with "
                                   "llama.cpp's llama-gguf-split --merge"));
  }
  Config config{};
  config.n_layer = dimension(file, "gpt2.block_count");
  config.n_head = dimension(file, "gpt2.attention.head_count");
  config.n_embd = dimension(file, "gpt2.embedding_length");
  config.n_inner = file.find("gpt2.feed_forward_length") != nullptr
                       ? dimension(file, "gpt2.feed_forward_length")
                       : 4 * config.n_embd;
  config.n_ctx = dimension(file, "gpt2.context_length");
  config.layer_norm_epsilon = file.get_f32("gpt2.attention.layer_norm_epsilon");
  config.activation = activation(file);
  if (!(config.layer_norm_epsilon >= 0.0f && config.layer_norm_epsilon < 1.0f)) {
    throw FormatError(message(file.path(), ": gpt2.attention.layer_norm_epsilon is ",
                              config.layer_norm_epsilon, ", expected 0 to 1 (GPT-2 has 1e-5)"));
  }
  if (config.n_embd % config.n_head != 0) {
    throw FormatError(message(file.path(), ": gpt2.embedding_length ", config.n_embd,
                              " does not divide into gpt2.attention.head_count ", config.n_head,
                              " heads"));
  }
  const TensorInfo& wte = file.tensor("token_embd.weight");
  if (wte.shape.size() != 2 || wte.shape[0] == 0 || wte.shape[0] > kLargestVocabulary) {
    throw FormatError(message(file.path(), ": tensor token_embd.weight is not a table of 1 to ",
                              kLargestVocabulary, " rows"));
  }
  if (wte.shape[0] * static_cast<uint64_t>(config.n_embd) > kLargestEmbedding) {
    throw FormatError(message(file.path(), ": tensor token_embd.weight would have ", wte.shape[0],
                              " rows of ", config.n_embd, ", expected at most ", kLargestEmbedding,
                              " numbers"));
  }
  config.n_vocab = static_cast<int>(wte.shape[0]);
  return config;
}

Config part_of(const Config& whole, LayerRange range) {
  if (range.first < 0 || range.first >= range.last || range.last > whole.n_layer) {
    throw std::invalid_argument(message("layers ", range.first, " to ", range.last - 1,
                                        " are no part of a model of ", whole.n_layer));
  }
  Config part = whole;
  part.n_layer = range.last - range.first;
  part.first_layer = range.first;
  part.has_embedding = range.first == 0;
  part.has_head = range.last == whole.n_layer;
  return part;
}

std::string block_name(const Config& config, int layer) {
  return "blk." + std::to_string(config.first_layer + layer) + ".";
}

void check_tokens(std::span<const int32_t> tokens, const Config& config) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= config.n_vocab) {
      throw std::invalid_argument(message("token ", i, " is ", tokens[i],
                                          "; this model's vocabulary has the ids 0 to ",
                                          config.n_vocab - 1));
    }
  }
}

}  // namespace gpt2edge
