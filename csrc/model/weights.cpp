#include "model/weights.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "formats/dequantize.h"

namespace gpt2edge {
namespace {

// One tensor's place in the arena.
struct Placement {
  const TensorInfo* tensor;
  bool is_matrix;               // packed for the kernels; otherwise kept as plain floats
  kernels::PanelLayout layout;  // of a matrix
  int n_out, n_in;              // of a matrix; rows and columns of floats otherwise
  size_t offset;                // in the arena
};

// The place of every tensor in the arena. Building it is the only place that checks names and
// shapes; it allocates little memory.
class Plan {
 public:
  Plan(const GgufFile& file, const Config& config) : file_(file) {
    const int embd = config.n_embd, inner = config.n_inner;
    const bool has_own_head = file.find_tensor("output.weight") != nullptr;
    if (config.has_embedding || (config.has_head && !has_own_head)) {
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
    // Files without it share one matrix between the embedding and the head.
    if (has_own_head) add_matrix("output.weight", config.n_vocab, embd);
  }

  const std::map<std::string, Placement>& placements() const { return placements_; }
  size_t bytes() const { return bytes_; }

 private:
  void add_norm(const std::string& name, int n) {
    add_floats(name + ".weight", 1, n);
    add_floats(name + ".bias", 1, n);
  }

  void add_linear(const std::string& name, int n_out, int n_in) {
    add_matrix(name + ".weight", n_out, n_in);
    add_floats(name + ".bias", 1, n_out);
  }

  void add_matrix(const std::string& name, int n_out, int n_in) {
    const TensorInfo& tensor = checked(name, n_out, n_in);
    refuse_scale_of(name);
    const auto layout = kernels::panel_layout(tensor.type, n_in);
    place(name, {&tensor, true, layout, n_out, n_in, bytes_},
          layout.panel_bytes * kernels::panel_count(n_out));
  }

  void add_floats(const std::string& name, int rows, int n) {
    const TensorInfo& tensor = checked(name, rows, n);
    // Kernels read whole vectors of 16: leave room after the last row.
    place(name, {&tensor, false, {}, rows, n, bytes_},
          (static_cast<size_t>(rows) * n + 15) * sizeof(float));
  }

  void place(const std::string& name, Placement placement, size_t size) {
    placements_.emplace(name, placement);
    bytes_ += (size + 63) / 64 * 64;
  }

  const TensorInfo& checked(const std::string& name, int rows, int n) {
    const TensorInfo& tensor = file_.tensor(name);
    uint64_t found_rows = 1;
    for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) found_rows *= tensor.shape[i];
    const bool right = tensor.shape.size() <= 2 &&
                       tensor.shape.back() == static_cast<uint64_t>(n) &&
                       found_rows == static_cast<uint64_t>(rows);
    if (!right) {
      throw FormatError(message(file_.path(), ": tensor ", name, " has shape ", text(tensor.shape),
                                ", the model's configuration makes it [", rows, ", ", n,
                                "]: the file is damaged or was converted wrongly"));
    }
    return tensor;
  }

  // Where a file has one, llama.cpp multiplies a matrix's outputs by it (as for NVFP4).
  void refuse_scale_of(const std::string& name) {
    const std::string scale = name.substr(0, name.rfind('.')) + ".scale";
    if (file_.find_tensor(scale) == nullptr) return;
    throw UnsupportedError(message(file_.path(), ": tensor ", scale, " scales ", name,
                                   ", which this program does not do: convert the original model "
                                   "to q8_0 or q4_0"));
  }

  static std::string text(const std::vector<uint64_t>& shape) {
    std::string out = "[";
    for (size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return out + "]";
  }

  const GgufFile& file_;
  std::map<std::string, Placement> placements_;
  size_t bytes_ = 0;
};

// How much of the file is mapped into memory at a time.
constexpr size_t kMappedBytes = size_t{4} << 20;

// Calls body(i) for i in [0, n), each of which reads the tensor's next `item_bytes` bytes. What has
// been read is given back to the system soon: it would add to the packed weights' memory.
template <typename Body>
void read_in_order(const GgufFile& file, const TensorInfo& tensor, int n, size_t item_bytes,
                   ThreadPool& pool, const Body& body) {
  const int at_once = static_cast<int>(std::clamp<size_t>(kMappedBytes / item_bytes, 1, 1 << 20));
  for (int first = 0; first < n; first += at_once) {
    pool.run(std::min(at_once, n - first), [&](int i, int) { body(first + i); });
    file.release(tensor, std::min<uint64_t>(tensor.n_bytes, item_bytes * (first + at_once)));
  }
}

void pack(const GgufFile& file, const Placement& place, int code_bias, ThreadPool& pool,
          std::byte* arena) {
  const TensorInfo& tensor = *place.tensor;
  const size_t row = row_bytes(tensor.type, static_cast<size_t>(place.n_in));
  std::byte* to = arena + place.offset;
  if (!place.is_matrix) {
    read_in_order(file, tensor, place.n_out, row, pool, [&](int i) {
      auto* out = reinterpret_cast<float*>(to) + static_cast<size_t>(i) * place.n_in;
      dequantize_row(tensor.type, tensor.data + row * i, out, static_cast<size_t>(place.n_in));
    });
    return;
  }
  const int n_panels = kernels::panel_count(place.n_out);
  read_in_order(file, tensor, n_panels, row * kernels::kPanelRows, pool, [&](int panel) {
    const int first = panel * kernels::kPanelRows;
    const int n_rows = std::min(kernels::kPanelRows, place.n_out - first);
    kernels::pack_panel(place.layout, tensor.type, tensor.data + row * first, n_rows, code_bias,
                        reinterpret_cast<uint8_t*>(to) + place.layout.panel_bytes * panel);
  });
}

}  // namespace

Weights::Needs Weights::needs(const GgufFile& file, const Config& config) {
  const Plan plan(file, config);
  bool all_f32 = true;
  for (const auto& [name, place] : plan.placements()) {
    if (place.is_matrix) all_f32 = all_f32 && place.layout.form == kernels::WeightForm::kF32;
  }
  return {plan.bytes(), all_f32 ? kernels::CacheType::kF32 : kernels::CacheType::kF16};
}

Weights::Weights(const GgufFile& file, const Config& config, int code_bias, ThreadPool& pool) {
  const Plan plan(file, config);
  arena_ = AlignedBuffer(plan.bytes());
  file.checked([&] {
    const ThreadPool::Lease lease(pool);
    for (const auto& [name, place] : plan.placements()) {
      pack(file, place, code_bias, pool, arena_.data());
    }
  });

  const auto floats = [&](const std::string& name) {
    return reinterpret_cast<const float*>(arena_.data() + plan.placements().at(name).offset);
  };
  const auto matrix = [&](const std::string& name) {
    const Placement& place = plan.placements().at(name);
    return kernels::PackedMatrix{place.layout,
                                 reinterpret_cast<const uint8_t*>(arena_.data() + place.offset),
                                 place.n_out, code_bias};
  };
  const auto linear = [&](const std::string& name) {
    return Linear{matrix(name + ".weight"), floats(name + ".bias")};
  };
  const auto norm = [&](const std::string& name) {
    return Norm{floats(name + ".weight"), floats(name + ".bias")};
  };

  if (config.has_embedding) {
    wte = matrix("token_embd.weight");
    wpe = floats("position_embd.weight");
  }
  for (int i = 0; i < config.n_layer; ++i) {
    const std::string block = block_name(config, i);
    layers.push_back({norm(block + "attn_norm"), linear(block + "attn_qkv"),
                      linear(block + "attn_output"), norm(block + "ffn_norm"),
                      linear(block + "ffn_up"), linear(block + "ffn_down")});
  }
  if (!config.has_head) return;
  ln_f = norm("output_norm");
  const bool has_own_head = plan.placements().count("output.weight") > 0;
  lm_head = {matrix(has_own_head ? "output.weight" : "token_embd.weight"), nullptr};
}

size_t Weights::bytes_per_token() const {
  const auto bytes = [](const kernels::PackedMatrix& matrix) {
    return matrix.layout.panel_bytes * static_cast<size_t>(kernels::panel_count(matrix.n_out));
  };
  size_t total = bytes(lm_head.weight);
  for (const LayerWeights& layer : layers) {
    for (const Linear* linear : layer.linears()) total += bytes(linear->weight);
  }
  return total;
}

size_t Weights::multiply_adds_per_token() const {
  size_t total = 0;
  for (const LayerWeights& layer : layers) {
    for (const Linear* linear : layer.linears()) {
      total += static_cast<size_t>(linear->weight.n_out) * linear->weight.layout.n_in;
    }
  }
  return total;
}

}  // namespace gpt2edge
