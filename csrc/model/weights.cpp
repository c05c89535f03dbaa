#include "model/weights.h"

#include <algorithm>
#include <string>

#include "formats/dequantize.h"

namespace gpt2edge {
namespace {

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

void pack(const GgufFile& file, const WeightPlace& place, int code_bias, ThreadPool& pool,
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

Weights::Weights(const WeightPlan& plan, int code_bias, ThreadPool& pool) : arena_(plan.bytes()) {
  plan.file().checked([&] {
    const ThreadPool::Lease lease(pool);
    for (const auto& [name, place] : plan.places()) {
      pack(plan.file(), place, code_bias, pool, arena_.data());
    }
  });

  const auto floats = [&](const std::string& name) {
    return reinterpret_cast<const float*>(arena_.data() + plan.at(name).offset);
  };
  const auto matrix = [&](const std::string& name) {
    const WeightPlace& place = plan.at(name);
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

  const Config& config = plan.config();
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
  lm_head = {matrix(plan.has_own_head() ? "output.weight" : "token_embd.weight"), nullptr};
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
