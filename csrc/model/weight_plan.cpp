#include "model/weight_plan.h"

#include "base/error.h"

namespace gpt2edge {
namespace {

std::string text(const std::vector<uint64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

}  // namespace

WeightPlan::WeightPlan(const GgufFile& file, const Config& config) : file_(file), config_(config) {
  const int embd = config.n_embd, inner = config.n_inner;
  has_own_head_ = file.find_tensor("output.weight") != nullptr;
  if (config.has_embedding || (config.has_head && !has_own_head_)) {
    add_matrix("token_embd.weight", config.n_vocab, embd);
  }
  if (config.has_embedding) add_floats("position_embd.weight", config.n_ctx, embd);
  for (int i = 0; i < config.n_layer; ++i) {
    const std::string block = block_name(config, i);
    add_norm(block + "attn_norm", embd);
    add_linear(block + "attn_qkv", 3 * embd, embd);
    add_linear(block + "attn_output", embd, embd);
    add_norm(block + "ffn_norm", embd);
    add_linear(block + "ffn_up", inner, embd);
    add_linear(block + "ffn_down", embd, inner);
  }
  if (!config.has_head) return;
  add_norm("output_norm", embd);
  if (has_own_head_) add_matrix("output.weight", config.n_vocab, embd);
}

kernels::CacheType WeightPlan::cache_type() const {
  for (const auto& [name, place] : places_) {
    if (place.is_matrix && place.layout.form != kernels::WeightForm::kF32) {
      return kernels::CacheType::kF16;
    }
  }
  return kernels::CacheType::kF32;
}

void WeightPlan::add_norm(const std::string& name, int n) {
  add_floats(name + ".weight", 1, n);
  add_floats(name + ".bias", 1, n);
}

void WeightPlan::add_linear(const std::string& name, int n_out, int n_in) {
  add_matrix(name + ".weight", n_out, n_in);
  add_floats(name + ".bias", 1, n_out);
}

void WeightPlan::add_matrix(const std::string& name, int n_out, int n_in) {
  const TensorInfo& tensor = checked(name, n_out, n_in);
  refuse_scale_of(name);
  const auto layout = kernels::panel_layout(tensor.type, n_in);
  place(name, {&tensor, true, layout, n_out, n_in, bytes_},
        layout.panel_bytes * kernels::panel_count(n_out));
}

void WeightPlan::add_floats(const std::string& name, int rows, int n) {
  const TensorInfo& tensor = checked(name, rows, n);
  // Kernels read whole vectors of 16: leave room after the last row.
  place(name, {&tensor, false, {}, rows, n, bytes_},
        (static_cast<size_t>(rows) * n + 15) * sizeof(float));
}

void WeightPlan::place(const std::string& name, const WeightPlace& place, size_t size) {
  places_.emplace(name, place);
  bytes_ += (size + 63) / 64 * 64;
}

const TensorInfo& WeightPlan::checked(const std::string& name, int rows, int n) const {
  const TensorInfo& tensor = file_.tensor(name);
  uint64_t found_rows = 1;
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) found_rows *= tensor.shape[i];
  const bool right = tensor.shape.size() <= 2 && tensor.shape.back() == static_cast<uint64_t>(n) &&
                     found_rows == static_cast<uint64_t>(rows);
  if (!right) {
    throw FormatError(message(file_.path(), ": tensor ", name, " has shape ", text(tensor.shape),
                              ", the model's configuration makes it [", rows, ", ", n,
                              "]: the file is damaged or was converted wrongly"));
  }
  return tensor;
}

// Where a file has one, llama.cpp multiplies a matrix's outputs by it (as for NVFP4).
void WeightPlan::refuse_scale_of(const std::string& name) const {
  const std::string scale = name.substr(0, name.rfind('.')) + ".scale";
  if (file_.find_tensor(scale) == nullptr) return;
  throw UnsupportedError(message(file_.path(), ": tensor ", scale, " scales ", name,
                                 ", which this program does not do: convert the original model "
                                 "to q8_0 or q4_0"));
}

}  // namespace gpt2edge
