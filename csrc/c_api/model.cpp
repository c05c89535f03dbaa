// Models: options, loading, shape, tokens.
#include <future>

#include "base/thread_count.h"
#include "c_api/model_options.h"
#include "c_api/objects.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

namespace gpt2edge::c_api {
namespace {

std::optional<kernels::CacheType> kv_type(int32_t number) {
  switch (number) {
    case GPT2EDGE_KV_DEFAULT:
      return std::nullopt;
    case GPT2EDGE_KV_F32:
      return kernels::CacheType::kF32;
    case GPT2EDGE_KV_F16:
      return kernels::CacheType::kF16;
    case GPT2EDGE_KV_INT8:
      return kernels::CacheType::kInt8;
    case GPT2EDGE_KV_INT16:
      return kernels::CacheType::kInt16;
    default:
      throw std::invalid_argument(
          message("kv_type is ", number, "; give one of the constants GPT2EDGE_KV_..."));
  }
}

Interrupt interrupt_of(const gpt2edge_model_options& options) {
  if (options.interrupt == nullptr) return {};
  return [function = options.interrupt, user = options.user] {
    if (function(user) != 0) throw Interrupted("interrupted");
  };
}

}  // namespace

ModelOptions read_model_options(const gpt2edge_model_options* given) {
  const auto options = read_struct(given, gpt2edge_model_options{}, "gpt2edge_model_options");
  if (options.n_ctx < 0) {
    throw std::invalid_argument(message("n_ctx is ", options.n_ctx, "; give 0 or more"));
  }
  checked_thread_count(options.n_threads);
  return {options.n_threads, {options.n_ctx, kv_type(options.kv_type)}, interrupt_of(options)};
}

std::vector<int32_t> LoadedModel::prompt_tokens(std::vector<int32_t> tokens) const {
  if (tokens.empty()) tokens.push_back(start_token(*vocabulary));
  return tokens;
}

gpt2edge_config config_of(const Config& config, const TokenizerTables& vocabulary) {
  return {0,
          config.n_layer,
          config.n_head,
          config.n_embd,
          config.n_inner,
          config.n_ctx,
          config.n_vocab,
          vocabulary.bos_token.value_or(-1),
          vocabulary.eos_token.value_or(-1)};
}

namespace {

std::shared_ptr<const Tokenizer> read_tokenizer(const GgufFile& file) {
  return std::make_shared<Tokenizer>(
      std::make_shared<TokenizerTables>(read_tokenizer_tables(file)));
}

gpt2edge_model* load(const GgufFile& file, const gpt2edge_model_options* options) {
  const ModelOptions given = read_model_options(options);
  auto loaded = std::make_shared<LoadedModel>();
  // The vocabulary is read while the weights are packed, in a thread where the system gives one.
  auto tokenizer = std::async(std::launch::async | std::launch::deferred,
                              [&file] { return read_tokenizer(file); });
  loaded->model = std::make_shared<Model>(file, given.n_threads, given.cache);
  loaded->tokenizer = tokenizer.get();
  loaded->vocabulary = loaded->tokenizer->tables();
  loaded->contexts = {given.cache.n_ctx, loaded->model->cache_type()};
  loaded->interrupt = given.interrupt;
  return Models::add(std::move(loaded));
}

}  // namespace
}  // namespace gpt2edge::c_api

gpt2edge_status gpt2edge_model_options_init(gpt2edge_model_options* options, size_t size) {
  return guarded(
      [&] { init_struct(options, gpt2edge_model_options{}, size, "gpt2edge_model_options"); });
}

gpt2edge_status gpt2edge_model_load(gpt2edge_file* file, const gpt2edge_model_options* options,
                                    gpt2edge_model** model) {
  return guarded([&] {
    auto& out = required(model, "the place for the model");
    out = load(Files::get(file)->gguf, options);
  });
}

gpt2edge_status gpt2edge_model_open(const char* path, const gpt2edge_model_options* options,
                                    gpt2edge_model** model) {
  return guarded([&] {
    auto& out = required(model, "the place for the model");
    out = load(GgufFile::open(&required(path, "the path")), options);
  });
}

gpt2edge_status gpt2edge_model_close(gpt2edge_model* model) {
  return guarded([&] { Models::close(model); });
}

gpt2edge_status gpt2edge_model_config(gpt2edge_model* model, gpt2edge_config* config) {
  return guarded([&] {
    const auto loaded = Models::get(model);
    write_struct(config, config_of(loaded->model->config(), *loaded->vocabulary),
                 "gpt2edge_config");
  });
}

gpt2edge_status gpt2edge_encode(gpt2edge_model* model, const char* text, size_t n_text,
                                int32_t allow_special, int32_t* tokens, size_t capacity,
                                size_t* n_tokens) {
  return guarded([&] {
    const auto ids = Models::get(model)->tokenizer->encode(text_of(text, n_text, "the text"),
                                                           allow_special != 0);
    write_array<int32_t>(ids, tokens, capacity, n_tokens);
  });
}

gpt2edge_status gpt2edge_decode(gpt2edge_model* model, const int32_t* tokens, size_t n_tokens,
                                char* text, size_t capacity, size_t* n_text) {
  return guarded([&] {
    const auto bytes = Models::get(model)->tokenizer->decode(array_of(tokens, n_tokens, "tokens"));
    write_array<char>(bytes, text, capacity, n_text);
  });
}
