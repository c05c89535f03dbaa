#include "model/model.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "base/available_memory.h"
#include "base/cpu_info.h"
#include "base/error.h"
#include "base/thread_count.h"
#include "kernels/dispatch.h"
#include "model/classifier.h"
#include "model/fingerprint.h"
#include "model/matmul_items.h"

namespace gpt2edge {
namespace {

using kernels::Epilogue;
using kernels::PanelLayout;

const WeightPlan& that_fits(const WeightPlan& plan, const CacheOptions& cache, int n_threads) {
  check_fits(plan, cache, n_threads, available_memory());
  return plan;
}

std::array<std::shared_ptr<PagePool>, 4> make_page_pools(const Config& config, int n_ctx) {
  const auto pool = [&](kernels::CacheType type) {
    return std::make_shared<PagePool>(KvCache::page_bytes(config, type),
                                      KvCache::page_count(n_ctx));
  };
  using enum kernels::CacheType;
  return {pool(kF32), pool(kF16), pool(kInt8), pool(kInt16)};
}

}  // namespace

size_t AttentionWeights::size(const Config& config, size_t n_layers, int n_rows, int n_positions) {
  return n_layers * static_cast<size_t>(config.n_head) * static_cast<size_t>(n_rows) *
         static_cast<size_t>(n_positions);
}

AttentionWeights AttentionWeights::of(const Config& config, std::span<const int32_t> layers,
                                      int n_rows, int n_positions, float* out) {
  AttentionWeights weights{std::vector<float*>(static_cast<size_t>(config.n_layer)), n_rows,
                           n_positions};
  for (const int32_t layer : layers) {
    if (layer < 0 || layer >= config.n_layer) {
      throw std::invalid_argument(message(
          "layer ", layer, " is not there: this model has layers 0 to ", config.n_layer - 1));
    }
    float*& start = weights.layers[static_cast<size_t>(layer)];
    if (start != nullptr) throw std::invalid_argument(message("layer ", layer, " comes twice"));
    start = out;
    out += size(config, 1, n_rows, n_positions);
  }
  return weights;
}

float* AttentionWeights::of(int layer, int head, int position) const {
  float* out = layers[static_cast<size_t>(layer)];
  if (out == nullptr) return nullptr;
  const int first_position = n_positions - n_rows;
  const auto row = static_cast<size_t>(head) * static_cast<size_t>(n_rows) +
                   static_cast<size_t>(position - first_position);
  return out + static_cast<size_t>(n_positions) * row;
}

Model::Model(const std::string& path, int n_threads, const CacheOptions& cache)
    : Model(GgufFile::open(path), n_threads, cache) {}

Model::Model(const GgufFile& file, int n_threads, const CacheOptions& cache)
    : Model(WeightPlan(file, read_config(file)), checked_thread_count(n_threads), cache) {}

Model::Model(const GgufFile& file, int n_threads, const CacheOptions& cache, LayerRange range)
    : Model(WeightPlan(file, part_of(read_config(file), range)), checked_thread_count(n_threads),
            cache) {}

Model::Model(const WeightPlan& plan, int n_threads, const CacheOptions& cache)
    : path_(plan.file().path()),
      fingerprint_(gpt2edge::fingerprint(plan.file())),
      kernels_(kernels::default_table()),
      config_(that_fits(plan, cache, n_threads).config()),
      cache_type_(cache.type.value_or(plan.cache_type())),
      page_pools_(make_page_pools(config_, resolved_n_ctx(cache, config_))),
      pool_(n_threads),
      weights_(plan, kernels_.code_bias, pool_),
      classifier_(read_classifier(plan.file(), config_)),
      has_language_model_(gpt2edge::has_language_model(plan.file())),
      workspace_(config_, pool_.n_threads(), kernels_.max_tokens) {}

template <typename Compute>
void Model::for_each_chunk(std::span<const Row> rows, const Compute& compute) {
  const ThreadPool::Lease lease(pool_);
  while (!rows.empty()) {
    const size_t n = std::min(rows.size(), static_cast<size_t>(kMaxRows));
    compute(rows.first(n));
    rows = rows.subspan(n);
  }
}

void Model::forward(std::span<const Row> rows, const Interrupt& interrupt) {
  for_each_chunk(rows, [&](std::span<const Row> chunk) { forward_chunk(chunk, interrupt); });
}

void Model::hidden_states(std::span<const Row> rows, int state, const Interrupt& interrupt) {
  for_each_chunk(rows, [&](std::span<const Row> chunk) {
    compute_layers(chunk, state, interrupt);
    if (state < config_.n_layer) return give_residuals(chunk, workspace_.x);
    normalize(normed(weights_.ln_f), 0, static_cast<int>(chunk.size()), workspace_.normed);
    give_residuals(chunk, workspace_.normed);
  });
}

void Model::run_jobs(int n, const std::function<void(int)>& job) {
  const ThreadPool::Lease lease(pool_);
  pool_.run(n, [&](int i, int) { job(i); });
}

// The residual stream after the first layers.
void Model::compute_layers(std::span<const Row> rows, int n_layers, const Interrupt& interrupt) {
  const int n_rows = static_cast<int>(rows.size());
  find_runs(rows);
  config_.has_embedding ? embed(rows) : take_residuals(rows);
  for (int i = 0; i < n_layers; ++i) {
    if (interrupt) interrupt();
    const LayerWeights& layer = weights_.layers[static_cast<size_t>(i)];
    attention_block(layer, i, rows);
    mlp_block(layer, n_rows);
  }
}

// The whole of GPT-2, layer by layer.
void Model::forward_chunk(std::span<const Row> rows, const Interrupt& interrupt) {
  compute_layers(rows, config_.n_layer, interrupt);
  if (!config_.has_head) return give_residuals(rows, workspace_.x);
  if (observer_ != nullptr) observe_head(static_cast<int>(rows.size()));
  head(rows);
}

void Model::take_residuals(std::span<const Row> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(rows[i].residual, config_.n_embd, workspace_.x + workspace_.embd_stride * i);
  }
}

void Model::give_residuals(std::span<const Row> rows, const float* from) const {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].residual == nullptr) continue;
    std::copy_n(from + workspace_.embd_stride * i, config_.n_embd, rows[i].residual);
  }
}

// x = wte[token] + wpe[position]
void Model::embed(std::span<const Row> rows) {
  const auto n_embd = static_cast<size_t>(config_.n_embd);
  const int n_rows = static_cast<int>(rows.size()), tile = workspace_.quantized.tile;
  pool_.run((n_rows + tile - 1) / tile, [&](int item, int) {
    for (int i = item * tile, end = std::min(n_rows, i + tile); i < end; ++i) {
      const Row& row = rows[static_cast<size_t>(i)];
      float* x = workspace_.x + workspace_.embd_stride * i;
      const float* position = weights_.wpe + n_embd * static_cast<size_t>(row.position);
      kernels::unpack_row(weights_.wte, row.token, x);
      for (size_t d = 0; d < n_embd; ++d) x[d] += position[d];
    }
  });
}

// x += attn_c_proj(attention(c_attn(ln_1(x))))
void Model::attention_block(const LayerWeights& layer, int index, std::span<const Row> rows) {
  Workspace& w = workspace_;
  const int n_rows = static_cast<int>(rows.size());
  matmul(layer.c_attn, normed(layer.ln_1), n_rows, Epilogue::kBias, {w.qkv, w.qkv_stride});
  // A head's outputs are whole blocks of codes, and a tile's rows are of one run.
  const bool as_codes = !is_float(layer.attn_c_proj.weight.layout.form) && observer_ == nullptr &&
                        config_.d_head() % kernels::kBlockInputs == 0 && runs_.size() == 1;
  attend(index, rows, as_codes);
  const Input attended{
      .values = w.attended, .stride = w.embd_stride, .codes = as_codes ? &w.quantized : nullptr};
  matmul(layer.attn_c_proj, attended, n_rows, Epilogue::kResidual, {w.x, w.embd_stride});
}

// x += mlp_c_proj(gelu(c_fc(ln_2(x))))
void Model::mlp_block(const LayerWeights& layer, int n_rows) {
  Workspace& w = workspace_;
  // GELU's outputs are the longest rows: quantized by the matmul, they are written once, at a
  // quarter of the size.
  const bool as_codes = !is_float(layer.mlp_c_proj.weight.layout.form);
  const kernels::QuantizedRows* codes = as_codes ? &w.inner_codes : nullptr;
  matmul(layer.c_fc, normed(layer.ln_2), n_rows, config_.activation,
         {w.inner, w.inner_stride, codes});
  const Input inner{.values = w.inner, .stride = w.inner_stride, .codes = codes};
  matmul(layer.mlp_c_proj, inner, n_rows, Epilogue::kResidual, {w.x, w.embd_stride});
}

void Model::find_runs(std::span<const Row> rows) {
  runs_.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool continues =
        i > 0 && rows[i].cache == rows[i - 1].cache && rows[i].position == rows[i - 1].position + 1;
    if (continues) {
      ++runs_.back().n_rows;
    } else {
      runs_.push_back({static_cast<int>(i), 1});
    }
  }
}

// Rows that are alone in their sequence (decoding) share a pass over some heads' parts of its
// pages; longer runs take all heads one by one.
int Model::heads_at_once(std::span<const Row> rows) const {
  for (const Run& run : runs_) {
    const Row& row = rows[static_cast<size_t>(run.first_row)];
    if (run.n_rows > 1 || row.weights != nullptr) return 1;
  }
  const auto ceiling = [](int n, int by) { return (n + by - 1) / by; };
  // As few groups as there are threads, if the runs are not more.
  const int n_groups = std::max(ceiling(pool_.n_threads(), static_cast<int>(runs_.size())),
                                ceiling(config_.n_head, kernels::kMaxQueryTile));
  return ceiling(config_.n_head, n_groups);
}

// All (group of heads, run) pairs, several to an item, which keeps the overhead small; neighbours
// are of different runs, so that a long run is spread over the threads.
void Model::attend(int layer, std::span<const Row> rows, bool as_codes) {
  const int n_runs = static_cast<int>(runs_.size()), group = heads_at_once(rows);
  const int n_all = n_runs * ((config_.n_head + group - 1) / group);
  const int share = std::max(1, n_all / (pool_.n_threads() * kItemsPerThread));
  pool_.run((n_all + share - 1) / share, [&](int item, int thread) {
    const int end = std::min(n_all, share * (item + 1));
    for (int i = share * item; i < end; ++i) {
      const int head = i / n_runs * group;
      const Heads heads{head, std::min(group, config_.n_head - head)};
      attend_run(layer, heads, rows, runs_[static_cast<size_t>(i % n_runs)], thread, as_codes);
    }
  });
}

// Stores the run's keys and values of some heads, then computes their attention.
void Model::attend_run(int layer, Heads heads, std::span<const Row> rows, Run run, int thread,
                       bool as_codes) {
  const int d_head = config_.d_head();
  const auto n_embd = static_cast<size_t>(config_.n_embd);
  const Row& first = rows[static_cast<size_t>(run.first_row)];
  const float* queries =
      workspace_.qkv + workspace_.qkv_stride * run.first_row + heads.first * d_head;
  for (int i = 0; i < heads.n; ++i) {
    const float* query = queries + i * d_head;
    kernels_.append({first.cache->head(layer, heads.first + i), query + n_embd, query + 2 * n_embd,
                     workspace_.qkv_stride, run.n_rows, first.position});
  }
  kernels::AttentionArgs args = {
      first.cache->head(layer, heads.first),
      queries,
      workspace_.qkv_stride,
      run.n_rows,
      first.position,
      workspace_.scratch(thread),
      workspace_.attended + workspace_.embd_stride * run.first_row + heads.first * d_head,
      workspace_.embd_stride};
  args.n_heads = heads.n;
  if (first.weights != nullptr) {
    args.weights = first.weights->of(layer, heads.first, first.position);
    args.weights_stride = static_cast<size_t>(first.weights->n_positions);
  }
  if (as_codes) {
    attend_as_codes(heads, args, thread);
  } else {
    kernels_.attention(args);
  }
}

// A few tiles of rows at a time, whose outputs become codes while they are in the cache.
void Model::attend_as_codes(Heads heads, kernels::AttentionArgs args, int thread) {
  const kernels::QuantizedRows& codes = workspace_.quantized;
  const int n_rows = args.n_queries, d_head = config_.d_head();
  const int group = kAttendedTiles * codes.tile;
  const int width = heads.n * d_head;
  args.out = workspace_.attended_rows(thread);
  args.out_stride = static_cast<size_t>(width);
  for (int first = 0; first < n_rows; first += group) {
    args.n_queries = std::min(group, n_rows - first);
    kernels_.attention(args);
    for (int i = 0; i < args.n_queries; i += codes.tile) {
      kernels_.quantize_tile({args.out + width * i, args.out_stride,
                              std::min(codes.tile, args.n_queries - i), width, first + i, codes,
                              heads.first * d_head, config_.n_embd});
    }
    args.queries += args.query_stride * static_cast<size_t>(group);
    args.first_position += group;
    if (args.weights != nullptr) args.weights += args.weights_stride * static_cast<size_t>(group);
  }
}

// Logits are far more work than what they are made of.
void Model::observe_head(int n_rows) {
  const Linear& linear = weights_.lm_head;
  const float* values = prepare(normed(weights_.ln_f), n_rows, linear.weight.layout);
  observer_->see(linear, values, workspace_.embd_stride, n_rows, pool_);
}

// logits = lm_head(ln_f(x)) for the rows that want them
void Model::head(std::span<const Row> rows) {
  Workspace& w = workspace_;
  const size_t row_bytes = static_cast<size_t>(config_.n_embd) * sizeof(float);
  const size_t n_maxima = maxima_count(config_.n_vocab);
  for (size_t i = 0; i < rows.size();) {
    // Move the wanted rows together: x is not needed any more.
    const Row* wanted[kMaxHeadRows];
    int n = 0;
    for (; i < rows.size() && n < kMaxHeadRows; ++i) {
      if (rows[i].logits == nullptr) continue;
      float* to = w.x + w.embd_stride * static_cast<size_t>(n);
      const float* from = w.x + w.embd_stride * i;
      if (to != from) std::memcpy(to, from, row_bytes);
      wanted[n++] = &rows[i];
    }
    if (n == 0) return;
    matmul(weights_.lm_head, normed(weights_.ln_f), n, Epilogue::kBias,
           {.values = w.logits, .stride = w.vocab_stride, .maxima = w.maxima});
    for (int k = 0; k < n; ++k) {
      const auto at = static_cast<size_t>(k);
      std::memcpy(wanted[k]->logits, w.logits + w.vocab_stride * at,
                  static_cast<size_t>(config_.n_vocab) * sizeof(float));
      if (wanted[k]->maxima == nullptr) continue;
      std::memcpy(wanted[k]->maxima, w.maxima + n_maxima * at, n_maxima * sizeof(float));
    }
  }
}

// The residual stream, to be normalized before a matmul.
Model::Input Model::normed(const Norm& norm) const {
  return {.values = workspace_.x, .stride = workspace_.embd_stride, .norm = &norm};
}

// Rows of the input through its norm.
void Model::normalize(const Input& input, int first_row, int n_rows, float* out) const {
  kernels_.layer_norm({input.values + input.stride * static_cast<size_t>(first_row), input.stride,
                       n_rows, config_.n_embd, input.norm->gain, input.norm->bias,
                       config_.layer_norm_epsilon, out, input.stride});
}

// Prepares a matmul's input: normalizes it where it has a norm, then quantizes it where the weights
// are codes, a tile of rows at a time while it is in the cache. Returns the rows as floats for
// float weights and for an observer.
const float* Model::prepare(const Input& input, int n_rows, const PanelLayout& layout) {
  Workspace& w = workspace_;
  const bool to_codes = !is_float(layout.form), keep = !to_codes || observer_ != nullptr;
  if (input.codes != nullptr || (input.norm == nullptr && !to_codes)) return input.values;
  const int tile = w.quantized.tile;
  pool_.run((n_rows + tile - 1) / tile, [&](int item, int thread) {
    const int first = item * tile, n = std::min(tile, n_rows - first);
    const size_t offset = input.stride * static_cast<size_t>(first);
    const float* rows = input.values + offset;
    if (input.norm != nullptr) {
      float* out = keep ? w.normed + offset : w.scratch(thread);
      normalize(input, first, n, out);
      rows = out;
    }
    if (to_codes) {
      kernels_.quantize_tile({rows, input.stride, n, layout.n_in, first, w.quantized});
    }
  });
  return input.norm == nullptr ? input.values : w.normed;
}

// out = epilogue(input W^T + bias)
void Model::matmul(const Linear& linear, const Input& input, int n_rows, Epilogue epilogue,
                   const Output& output) {
  kernels::MatmulArgs args{};
  args.weights = linear.weight;
  args.values = prepare(input, n_rows, linear.weight.layout);
  args.values_stride = input.stride;
  if (observer_ != nullptr && &linear != &weights_.lm_head) {
    observer_->see(linear, args.values, input.stride, n_rows, pool_);
  }
  args.quantized = input.codes != nullptr ? *input.codes : workspace_.quantized;
  args.n_rows = n_rows;
  args.bias = linear.bias;
  args.epilogue = epilogue;
  if (output.codes != nullptr) {
    args.out_codes = *output.codes;
  } else {
    args.out = output.values;
    args.out_stride = output.stride;
    args.maxima = output.maxima;
    args.maxima_stride = maxima_count(linear.weight.n_out);
  }
  args.prefetch_stream = gains_by_prefetch();
  const MatmulItems items(args, pool_.n_threads());
  pool_.run(items.count(), [&](int item, int thread) {
    kernels::MatmulArgs part = items.part(item);
    part.scratch = reinterpret_cast<uint8_t*>(workspace_.scratch(thread));
    kernels_.matmul(part);
  });
}

}  // namespace gpt2edge
