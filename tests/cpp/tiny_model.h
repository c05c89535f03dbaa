// Small GPT-2 models with random weights: written as GGUF, and loaded from it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "check.h"
#include "formats/gguf.h"
#include "formats/tokenizer_tables.h"
#include "generate/sequence.h"
#include "gguf_bytes.h"
#include "model/model.h"
#include "quantize/quantize.h"
#include "random.h"
#include "random_blocks.h"

namespace gpt2edge::test {

struct Shape {
  int n_ctx = 200;
  int n_vocab = 60;
  int n_layer = 1;
  int n_head = 2;
  int n_embd = 32;
  int n_inner = 64;
  TensorType type = TensorType::Q8_0;  // of the matrices
  uint32_t seed = 1;
};

// The weights of a model, tensor by tensor, in the order of the file.
class TinyWeights {
 public:
  explicit TinyWeights(const Shape& shape) : shape_(shape), random_(shape.seed) {
    matrix("token_embd", shape.n_vocab, shape.n_embd, 0.5f);
    add("position_embd.weight", shape.n_ctx, shape.n_embd, 0.0f, 0.5f, TensorType::F32);
    for (int i = 0; i < shape.n_layer; ++i) {
      const std::string block = "blk." + std::to_string(i) + ".";
      norm(block + "attn_norm");
      linear(block + "attn_qkv", 3 * shape.n_embd, shape.n_embd);
      linear(block + "attn_output", shape.n_embd, shape.n_embd);
      norm(block + "ffn_norm");
      linear(block + "ffn_up", shape.n_inner, shape.n_embd);
      linear(block + "ffn_down", shape.n_embd, shape.n_inner);
    }
    norm("output_norm");
  }

  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // fastest first
    TensorType type;
    std::string bytes;
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  void norm(const std::string& name) {
    add(name + ".weight", 0, shape_.n_embd, 1.0f, 0.3f, TensorType::F32);
    add(name + ".bias", 0, shape_.n_embd, 0.0f, 0.2f, TensorType::F32);
  }
  void linear(const std::string& name, int n_out, int n_in) {
    matrix(name, n_out, n_in, 2.5f / std::sqrt(static_cast<float>(n_in)));
    add(name + ".bias", 0, n_out, 0.0f, 0.2f, TensorType::F32);
  }
  void matrix(const std::string& name, int n_out, int n_in, float spread) {
    add(name + ".weight", n_out, n_in, 0.0f, spread, shape_.type);
  }

  // A vector where n_out is 0. Blocks of scales of scales are random.
  void add(const std::string& name, int n_out, int n_in, float mean, float spread,
           TensorType type) {
    const auto width = static_cast<size_t>(n_in);
    Tensor tensor{name, {width}, type, {}};
    if (n_out > 0) tensor.dims.push_back(static_cast<uint64_t>(n_out));
    const size_t size = row_bytes(type, width);
    tensor.bytes.resize(size * static_cast<size_t>(std::max(1, n_out)));
    const std::span bytes(reinterpret_cast<std::byte*>(tensor.bytes.data()), tensor.bytes.size());
    const bool is_soon_written =
        can_quantize_to(type) && type_traits(static_cast<uint32_t>(type))->block_size <= 32;
    if (!is_soon_written) draw_blocks(type, bytes, random_);
    std::vector<float> row(width);
    for (size_t first = 0; is_soon_written && first < bytes.size(); first += size) {
      for (float& x : row) x = mean + spread * random_.uniform();
      quantize_rows(type, row.data(), 1, width, &bytes[first]);
    }
    tensors_.push_back(std::move(tensor));
  }

  Shape shape_;
  Random random_;
  std::vector<Tensor> tensors_;
};

// The 256 bytes as GPT-2 spells them, as far as there is room, fillers, and end-of-text last.
inline std::vector<std::string> byte_vocabulary(int n_vocab) {
  const auto is_printable = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  std::vector<std::string> tokens;
  int n_others = 0;
  for (int i = 0; i < 256 && static_cast<int>(tokens.size()) < n_vocab - 1; ++i) {
    // Printable ASCII first, so that a small vocabulary has letters.
    const int b = (i + 33) % 256;
    const int code = is_printable(b) ? b : 256 + n_others++;
    std::string text;
    if (code < 128) {
      text.push_back(static_cast<char>(code));
    } else {
      text.push_back(static_cast<char>(0xC0 | code >> 6));
      text.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    }
    tokens.push_back(text);
  }
  while (static_cast<int>(tokens.size()) < n_vocab - 1) {
    tokens.push_back("[PAD" + std::to_string(tokens.size()) + "]");
  }
  tokens.emplace_back("<|endoftext|>");
  return tokens;
}

inline std::string tiny_gguf(const Shape& shape) {
  constexpr uint32_t kU32 = 4, kI32 = 5, kF32 = 6, kString = 8, kArray = 9;
  const TinyWeights weights(shape);
  GgufBytes out;
  out.add(uint32_t{0x46554747}).add(uint32_t{3}).add(uint64_t{weights.tensors().size()});
  out.add(uint64_t{12});
  const auto number = [&](const char* key, int value) {
    out.key(key, kU32).add(static_cast<uint32_t>(value));
  };
  out.key("general.architecture", kString).text("gpt2");
  number("gpt2.block_count", shape.n_layer);
  number("gpt2.attention.head_count", shape.n_head);
  number("gpt2.embedding_length", shape.n_embd);
  number("gpt2.feed_forward_length", shape.n_inner);
  number("gpt2.context_length", shape.n_ctx);
  out.key("gpt2.attention.layer_norm_epsilon", kF32).add(1e-5f);
  out.key("tokenizer.ggml.model", kString).text("gpt2");
  out.key("tokenizer.ggml.tokens", kArray).add(kString).add(static_cast<uint64_t>(shape.n_vocab));
  for (const std::string& token : byte_vocabulary(shape.n_vocab)) out.text(token);
  out.key("tokenizer.ggml.token_type", kArray).add(kI32).add(static_cast<uint64_t>(shape.n_vocab));
  for (int i = 0; i < shape.n_vocab; ++i) {
    out.add(i == shape.n_vocab - 1 ? int32_t{kControlToken} : i < 256 ? int32_t{kNormalToken} : 5);
  }
  number("tokenizer.ggml.bos_token_id", shape.n_vocab - 1);
  number("tokenizer.ggml.eos_token_id", shape.n_vocab - 1);

  const auto aligned = [](size_t n) { return (n + 31) / 32 * 32; };
  size_t offset = 0;
  for (const auto& tensor : weights.tensors()) {
    out.tensor(tensor.name, tensor.dims, tensor.type, offset);
    offset = aligned(offset + tensor.bytes.size());
  }
  std::string bytes = out.bytes();
  for (const auto& tensor : weights.tensors()) {
    bytes.resize(aligned(bytes.size()));
    bytes += tensor.bytes;
  }
  return bytes;
}

struct TinyModel {
  std::shared_ptr<Model> model;
  std::shared_ptr<const TokenizerTables> vocabulary;
};

inline TinyModel tiny_model(const Shape& shape, int n_threads = 1) {
  const ScratchFile scratch;
  write_file(scratch.path(), tiny_gguf(shape));
  auto tables =
      std::make_shared<TokenizerTables>(read_tokenizer_tables(GgufFile::open(scratch.path())));
  return {std::make_shared<Model>(scratch.path(), n_threads, CacheOptions{}), std::move(tables)};
}

// ---- what is compared ----

inline std::vector<float> copy_of(std::span<const float> logits) {
  return {logits.begin(), logits.end()};
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// Those after tokens that a sequence by itself computes from nothing.
inline std::vector<float> fresh_logits(const std::shared_ptr<Model>& model,
                                       std::span<const int32_t> tokens, kernels::CacheType type) {
  Sequence sequence(model, model->config().n_ctx, type);
  const Sequence::Part part{&sequence, tokens};
  Sequence::append({&part, 1}, {});
  return copy_of(sequence.logits_after(sequence.length()).all);
}

using check::throws;

}  // namespace gpt2edge::test
