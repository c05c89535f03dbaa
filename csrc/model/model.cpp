#include "model/model.h"

#include <algorithm>
#include <cstring>

#include "base/cpu_info.h"
#include "base/error.h"
#include "kernels/dispatch.h"

namespace gpt2edge {
namespace {

using kernels::Epilogue;

// A share of a matrix small enough that the threads finish together, large enough that taking it
// costs nothing.
constexpr int kItemsPerThread = 8;

int checked_thread_count(int n_threads) {
  constexpr int kMost = 1024;
  if (n_threads < 0 || n_threads > kMost) {
    throw std::invalid_argument(
        message("n_threads is ", n_threads, ", expected 1 to ", kMost, ", or 0 to choose"));
  }
  return n_threads == 0 ? default_thread_count() : n_threads;
}

}  // namespace

Model::Model(const std::string& path, int n_threads) : Model(GgufFile::open(path), n_threads) {}

Model::Model(const GgufFile& file, int n_threads)
    : kernels_(kernels::default_table()),
      config_(read_config(file)),
      pool_(checked_thread_count(n_threads)),
      weights_(file, config_, kernels_.code_bias, pool_),
      workspace_(config_, pool_.n_threads(), kernels_.max_tokens) {}

void Model::forward(std::span<const Row> rows, const Interrupt& interrupt) {
  const ThreadPool::Lease lease(pool_);
  while (!rows.empty()) {
    const size_t n = std::min(rows.size(), static_cast<size_t>(kMaxRows));
    forward_chunk(rows.first(n), interrupt);
    rows = rows.subspan(n);
  }
}

// The whole of GPT-2, layer by layer.
void Model::forward_chunk(std::span<const Row> rows, const Interrupt& interrupt) {
  const int n_rows = static_cast<int>(rows.size());
  embed(rows);
  for (int i = 0; i < config_.n_layer; ++i) {
    if (interrupt) interrupt();
    const LayerWeights& layer = weights_.layers[static_cast<size_t>(i)];
    attention_block(layer, i, rows);
    mlp_block(layer, n_rows);
  }
  head(rows);
}

// x = wte[token] + wpe[position]
void Model::embed(std::span<const Row> rows) {
  const auto n_embd = static_cast<size_t>(config_.n_embd);
  for (size_t i = 0; i < rows.size(); ++i) {
    float* x = workspace_.x + workspace_.embd_stride * i;
    const float* position = weights_.wpe + n_embd * static_cast<size_t>(rows[i].position);
    kernels::unpack_row(weights_.wte, rows[i].token, x);
    for (size_t d = 0; d < n_embd; ++d) x[d] += position[d];
  }
}

// x += attn_c_proj(attention(c_attn(ln_1(x))))
void Model::attention_block(const LayerWeights& layer, int index, std::span<const Row> rows) {
  Workspace& w = workspace_;
  const int n_rows = static_cast<int>(rows.size());
  normalize(layer.ln_1, w.x, n_rows);
  matmul(layer.c_attn, w.normed, n_rows, Epilogue::kBias, w.qkv, w.qkv_stride);
  attend(index, rows);
  matmul(layer.attn_c_proj, w.attended, n_rows, Epilogue::kResidual, w.x, w.embd_stride);
}

// x += mlp_c_proj(gelu(c_fc(ln_2(x))))
void Model::mlp_block(const LayerWeights& layer, int n_rows) {
  Workspace& w = workspace_;
  normalize(layer.ln_2, w.x, n_rows);
  matmul(layer.c_fc, w.normed, n_rows, config_.activation, w.inner, w.inner_stride);
  matmul(layer.mlp_c_proj, w.inner, n_rows, Epilogue::kResidual, w.x, w.embd_stride);
}

// Each head of each run of rows (consecutive positions of one sequence) is one item: it stores the
// run's keys and values, then lets the run's queries see them.
void Model::attend(int layer, std::span<const Row> rows) {
  const auto continues_run = [&](size_t i) {
    return rows[i].cache == rows[i - 1].cache && rows[i].position == rows[i - 1].position + 1;
  };
  const int d_head = config_.d_head();
  const auto n_embd = static_cast<size_t>(config_.n_embd);
  for (size_t first = 0, end; first < rows.size(); first = end) {
    for (end = first + 1; end < rows.size() && continues_run(end);) ++end;
    const int n_rows = static_cast<int>(end - first), position = rows[first].position;
    KvCache& cache = *rows[first].cache;
    pool_.run(config_.n_head, [&, first](int head, int thread) {
      const kernels::HeadCache head_cache = cache.head(layer, head);
      const float* query = workspace_.qkv + workspace_.qkv_stride * first + head * d_head;
      kernels_.append({head_cache, query + n_embd, query + 2 * n_embd, workspace_.qkv_stride,
                       n_rows, position});
      kernels_.attention({head_cache, query, workspace_.qkv_stride, n_rows, position,
                          workspace_.scratch(thread),
                          workspace_.attended + workspace_.embd_stride * first + head * d_head,
                          workspace_.embd_stride});
    });
  }
}

// logits = lm_head(ln_f(x)) for the rows that want them
void Model::head(std::span<const Row> rows) {
  Workspace& w = workspace_;
  const size_t row_bytes = static_cast<size_t>(config_.n_embd) * sizeof(float);
  for (size_t i = 0; i < rows.size();) {
    // Move the wanted rows together: x is not needed any more.
    float* out[kMaxHeadRows];
    int n = 0;
    for (; i < rows.size() && n < kMaxHeadRows; ++i) {
      if (rows[i].logits == nullptr) continue;
      float* to = w.x + w.embd_stride * static_cast<size_t>(n);
      const float* from = w.x + w.embd_stride * i;
      if (to != from) std::memcpy(to, from, row_bytes);
      out[n++] = rows[i].logits;
    }
    if (n == 0) return;
    normalize(weights_.ln_f, w.x, n);
    matmul(weights_.lm_head, w.normed, n, Epilogue::kBias, w.logits, w.vocab_stride);
    for (int k = 0; k < n; ++k) {
      std::memcpy(out[k], w.logits + w.vocab_stride * static_cast<size_t>(k),
                  static_cast<size_t>(config_.n_vocab) * sizeof(float));
    }
  }
}

// normed = norm(x)
void Model::normalize(const Norm& norm, const float* x, int n_rows) {
  const size_t stride = workspace_.embd_stride;
  pool_.run(n_rows, [&](int row, int) {
    kernels_.layer_norm({x + stride * static_cast<size_t>(row), stride, 1, config_.n_embd,
                         norm.gain, norm.bias, config_.layer_norm_epsilon,
                         workspace_.normed + stride * static_cast<size_t>(row), stride});
  });
}

void Model::quantize(const float* values, int n_rows, int n_in) {
  const size_t stride = n_in == config_.n_embd ? workspace_.embd_stride : workspace_.inner_stride;
  const int tile = workspace_.quantized.tile;
  pool_.run((n_rows + tile - 1) / tile, [&](int item, int) {
    const int first = item * tile;
    kernels_.quantize_tile({values + stride * static_cast<size_t>(first), stride,
                            std::min(tile, n_rows - first), n_in, first, workspace_.quantized});
  });
}

// out = epilogue(x W^T + bias). x goes in as int8 codes where the weights are codes.
void Model::matmul(const Linear& linear, const float* x, int n_rows, Epilogue epilogue, float* out,
                   size_t out_stride) {
  const int n_panels = kernels::panel_count(linear.weight.n_out);
  const int share = std::max(1, n_panels / (pool_.n_threads() * kItemsPerThread));
  const int n_in = linear.weight.layout.n_in;
  if (!is_float(linear.weight.layout.form)) quantize(x, n_rows, n_in);
  kernels::MatmulArgs args{};
  args.weights = linear.weight;
  args.values = x;
  args.values_stride = n_in == config_.n_embd ? workspace_.embd_stride : workspace_.inner_stride;
  args.quantized = workspace_.quantized;
  args.n_rows = n_rows;
  args.bias = linear.bias;
  args.epilogue = epilogue;
  args.out = out;
  args.out_stride = out_stride;
  pool_.run((n_panels + share - 1) / share, [&](int item, int) {
    kernels::MatmulArgs part = args;
    part.first_panel = item * share;
    part.last_panel = std::min(n_panels, part.first_panel + share);
    kernels_.matmul(part);
  });
}

}  // namespace gpt2edge
