// A loaded model: its weights, its threads, and the forward pass.
//
// There is one forward pass, over rows. A prompt is many rows of one sequence, decoding is one row,
// a batch is one row of each of many sequences.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernel_table.h"
#include "model/config.h"
#include "model/input_observer.h"
#include "model/kv_cache.h"
#include "model/memory_needs.h"
#include "model/weights.h"
#include "model/workspace.h"

namespace gpt2edge {

struct Classifier;

// Where the attention weights of a sequence's rows go: for each layer that is wanted (n_head,
// n_rows, n_positions) floats, how each row looks at the positions from 0 on.
struct AttentionWeights {
  std::vector<float*> layers;  // one of every layer of the model, null where it is not wanted
  int n_rows;
  int n_positions;  // the rows' own are the last of them

  // An array of (layers.size(), n_head, n_rows, n_positions) floats at `out`. Throws
  // std::invalid_argument for a layer that is not there or comes twice.
  static AttentionWeights of(const Config& config, std::span<const int32_t> layers, int n_rows,
                             int n_positions, float* out);
  static size_t size(const Config& config, size_t n_layers, int n_rows, int n_positions);

  // Where those of the row at `position` begin, and after them those of the next; or null.
  float* of(int layer, int head, int position) const;
};

// One token to compute.
struct Row {
  int32_t token;
  int position;
  KvCache* cache;  // of the token's sequence; the positions before this one are filled, or are
                   // rows of the same pass
  float* logits;   // n_vocab floats to fill, or null where they are not wanted
  // The greatest of every kMaximaBlock logits, NaN where one is not finite, for a block at the end
  // that is not whole any number; or null where the logits are, or these are not wanted.
  float* maxima = nullptr;
  // Output of the attention weights, or null; the same for all rows of a sequence.
  const AttentionWeights* weights = nullptr;
  // Of a part of a model: the n_embd floats between its layers and others. Read where the embedding
  // is not in the part, written where the head is not. And where hidden_states writes a state; null
  // where it is not wanted.
  float* residual = nullptr;
};

// Called now and then during a long pass; stops it by throwing.
using Interrupt = std::function<void()>;

class Model {
 public:
  // Throws FileError, FormatError or UnsupportedError for a file that will not do, and MemoryError,
  // before anything is loaded, when the model and one sequence kept as `cache` says will not fit.
  // n_threads 0 means one per physical core.
  Model(const std::string& path, int n_threads, const CacheOptions& cache);
  // The file is not needed afterwards.
  Model(const GgufFile& file, int n_threads, const CacheOptions& cache);
  // Some layers only.
  Model(const GgufFile& file, int n_threads, const CacheOptions& cache, LayerRange range);

  // Computes rows, any number, in the order given. Rows of one sequence come at ascending
  // positions. One pass runs at a time: a second thread waits. When interrupted, the caches hold
  // garbage at the rows' positions and nothing else has changed.
  void forward(std::span<const Row> rows, const Interrupt& interrupt);

  // Computes rows, any number, up to one of the model's n_layer + 1 hidden states, as Hugging Face
  // counts them: 0 is the embedding, i what layer i gives, and the last has gone through the final
  // norm as well. The caches are filled in the layers up to there: they are of no use afterwards.
  void hidden_states(std::span<const Row> rows, int state, const Interrupt& interrupt);

  // Runs job(0) .. job(n - 1) on all threads, between passes. A job may not throw.
  void run_jobs(int n, const std::function<void(int)>& job);

  // While it lives, the observer sees the inputs of every pass.
  class Observation {
   public:
    Observation(Model& model, InputObserver& observer) : model_(model) {
      model_.observer_ = &observer;
    }
    ~Observation() { model_.observer_ = nullptr; }
    Observation(const Observation&) = delete;
    Observation& operator=(const Observation&) = delete;

   private:
    Model& model_;
  };

  const std::string& path() const { return path_; }
  std::string file_name() const { return path_.substr(path_.find_last_of("/\\") + 1); }
  // Tells models apart, whatever their files are called (fingerprint.h).
  uint64_t fingerprint() const { return fingerprint_; }
  const Config& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  // Null where the file has none.
  const Classifier* classifier() const { return classifier_.get(); }
  // Whether logits mean anything: not where the model was fine-tuned to classify. Rows may want
  // them all the same.
  bool has_language_model() const { return has_language_model_; }
  const kernels::KernelTable& kernels() const { return kernels_; }
  int n_threads() const { return pool_.n_threads(); }
  size_t weight_bytes() const { return weights_.bytes(); }
  size_t workspace_bytes() const { return workspace_.bytes(); }
  size_t bytes_per_token() const { return weights_.bytes_per_token(); }
  size_t multiply_adds_per_token() const { return weights_.multiply_adds_per_token(); }
  // How sequences are kept unless they say otherwise.
  kernels::CacheType cache_type() const { return cache_type_; }
  // The pages of all sequences kept as `type`.
  const std::shared_ptr<PagePool>& page_pool(kernels::CacheType type) const {
    return page_pools_[static_cast<size_t>(type)];
  }

 private:
  Model(const WeightPlan& plan, int n_threads, const CacheOptions& cache);

  // Rows at consecutive positions of one sequence.
  struct Run {
    int first_row, n_rows;
  };
  struct Heads {
    int first, n;
  };
  void find_runs(std::span<const Row> rows);

  template <typename Compute>
  void for_each_chunk(std::span<const Row> rows, const Compute& compute);
  void compute_layers(std::span<const Row> rows, int n_layers, const Interrupt& interrupt);
  void forward_chunk(std::span<const Row> rows, const Interrupt& interrupt);
  void embed(std::span<const Row> rows);
  void take_residuals(std::span<const Row> rows);
  void give_residuals(std::span<const Row> rows, const float* from) const;
  void attention_block(const LayerWeights& layer, int index, std::span<const Row> rows);
  void attend(int layer, std::span<const Row> rows, bool as_codes);
  int heads_at_once(std::span<const Row> rows) const;
  void attend_run(int layer, Heads heads, std::span<const Row> rows, Run run, int thread,
                  bool as_codes);
  void attend_as_codes(Heads heads, kernels::AttentionArgs args, int thread);
  void mlp_block(const LayerWeights& layer, int n_rows);
  void observe_head(int n_rows);
  void head(std::span<const Row> rows);

  // What goes into a matmul: rows of floats, through a norm where there is one, or codes that an
  // earlier matmul made.
  struct Input {
    const float* values = nullptr;
    size_t stride = 0;
    const Norm* norm = nullptr;
    const kernels::QuantizedRows* codes = nullptr;
  };
  // Where its results go: as codes where there is room for codes, else as floats.
  struct Output {
    float* values;
    size_t stride;
    const kernels::QuantizedRows* codes = nullptr;
    float* maxima = nullptr;  // of the floats, maxima_count(n_out) a row
  };
  Input normed(const Norm& norm) const;
  const float* prepare(const Input& input, int n_rows, const kernels::PanelLayout& layout);
  void normalize(const Input& input, int first_row, int n_rows, float* out) const;
  void matmul(const Linear& linear, const Input& input, int n_rows, kernels::Epilogue epilogue,
              const Output& output);

  std::string path_;
  uint64_t fingerprint_;
  const kernels::KernelTable& kernels_;
  Config config_;
  kernels::CacheType cache_type_;
  std::array<std::shared_ptr<PagePool>, 4> page_pools_;
  ThreadPool pool_;
  Weights weights_;
  std::shared_ptr<const Classifier> classifier_;
  bool has_language_model_;
  Workspace workspace_;
  InputObserver* observer_ = nullptr;
  std::vector<Run> runs_;  // of the rows in work
};

}  // namespace gpt2edge
