// Where each tensor of a file goes in a model's memory, before any of that is taken.
#pragma once

#include <map>
#include <string>

#include "formats/gguf.h"
#include "kernels/kernel_table.h"
#include "model/config.h"

namespace gpt2edge {

// One tensor's place in the memory of all weights.
struct WeightPlace {
  const TensorInfo* tensor;
  bool is_matrix;               // packed for the kernels; otherwise kept as plain floats
  kernels::PanelLayout layout;  // of a matrix
  int n_out, n_in;              // of a matrix; rows and columns of floats otherwise
  size_t offset;                // bytes
};

// Making it is what checks names and shapes. The file must live as long.
class WeightPlan {
 public:
  // Throws FormatError for a tensor that is missing or of the wrong shape, and UnsupportedError for
  // one that is scaled by another.
  WeightPlan(const GgufFile& file, const Config& config);

  const GgufFile& file() const { return file_; }
  const Config& config() const { return config_; }
  const std::map<std::string, WeightPlace>& places() const { return places_; }
  const WeightPlace& at(const std::string& name) const { return places_.at(name); }
  // Files without a head of its own share one matrix between the embedding and the head.
  bool has_own_head() const { return has_own_head_; }
  size_t bytes() const { return bytes_; }
  // How a sequence's keys and values are kept unless the caller says otherwise: f32 for a model
  // stored in f32, so that its logits keep their full precision, else f16.
  kernels::CacheType cache_type() const;

 private:
  void add_norm(const std::string& name, int n);
  void add_linear(const std::string& name, int n_out, int n_in);
  void add_matrix(const std::string& name, int n_out, int n_in);
  void add_floats(const std::string& name, int rows, int n);
  void place(const std::string& name, const WeightPlace& place, size_t size);
  const TensorInfo& checked(const std::string& name, int rows, int n) const;
  void refuse_scale_of(const std::string& name) const;

  const GgufFile& file_;
  Config config_;
  std::map<std::string, WeightPlace> places_;
  size_t bytes_ = 0;
  bool has_own_head_ = false;
};

}  // namespace gpt2edge
