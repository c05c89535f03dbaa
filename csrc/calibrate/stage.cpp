#include "calibrate/stage.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "base/error.h"
#include "base/thread_count.h"

namespace gpt2edge {
namespace {

// Statistics of exact inputs want exact keys and values.
constexpr CacheOptions kExactCache{0, kernels::CacheType::kF32};

// Sums of a matrix with n inputs. They are copied once when they are written, the greatest last.
uint64_t statistics_bytes(int n_in, bool with_products) {
  const auto n = static_cast<uint64_t>(n_in);
  return (with_products ? n * n + 2 * n : 2 * n) * sizeof(float);
}

uint64_t stage_bytes(const GgufFile& file, const Config& part, int n_threads, bool with_products) {
  const auto of = [&](int n_in) { return statistics_bytes(n_in, with_products); };
  const uint64_t layer = 3 * of(part.n_embd) + of(part.n_inner);
  return memory_needs(WeightPlan(file, part), kExactCache, n_threads).all() +
         static_cast<uint64_t>(part.n_layer) * layer + (part.has_head ? of(part.n_embd) : 0) +
         of(std::max(part.n_embd, part.n_inner));
}

}  // namespace

CalibrationStage::CalibrationStage(const std::string& path, int n_threads, LayerRange range,
                                   bool with_products)
    : model_(GgufFile::open(path), n_threads, kExactCache, range),
      statistics_(model_, with_products) {}

void CalibrationStage::read(std::span<const int32_t> tokens, std::span<float> residuals,
                            const Interrupt& interrupt) {
  const Config& config = model_.config();
  check_tokens(tokens, config);
  const auto n_embd = static_cast<size_t>(config.n_embd);
  if (tokens.empty() || tokens.size() > static_cast<size_t>(config.n_ctx) ||
      residuals.size() != n_embd * tokens.size()) {
    throw std::invalid_argument(message(tokens.size(), " tokens and ", residuals.size(),
                                        " floats: expected 1 to ", config.n_ctx, " tokens and ",
                                        n_embd, " floats for each"));
  }
  const auto n = static_cast<int>(tokens.size());
  KvCache cache(config, n, *kExactCache.type, model_.page_pool(*kExactCache.type));
  cache.make_room(0, n);
  std::vector<Row> rows;
  for (int i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    Row row{tokens[at], i, &cache, nullptr};
    row.residual = residuals.data() + n_embd * at;
    rows.push_back(row);
  }
  const Model::Observation observed(model_, statistics_);
  model_.forward(rows, interrupt);
}

uint64_t calibration_memory(const std::string& path, int n_threads, bool with_products) {
  const GgufFile file = GgufFile::open(path);
  const Config config = read_config(file);
  const int n = checked_thread_count(n_threads);
  uint64_t memory = 0;
  for (int i = 0; i < config.n_layer; ++i) {
    const Config part = part_of(config, {i, i + 1});
    memory = std::max(memory, stage_bytes(file, part, n, with_products));
  }
  return memory;
}

}  // namespace gpt2edge
