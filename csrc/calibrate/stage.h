// A few layers of a model at a time: texts pass through them, and what went into their matrices is
// summed up. Between stages the caller keeps the residual stream, so that a model can be calibrated
// in the memory of one of its layers.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "calibrate/input_statistics.h"
#include "model/kv_cache.h"
#include "model/model.h"

namespace gpt2edge {

class CalibrationStage {
 public:
  // Throws as Model does, and std::invalid_argument for layers that are quantized.
  CalibrationStage(const std::string& path, int n_threads, LayerRange range, bool with_products);

  // A text from the model's first position on, no longer than its context. `residuals` has n_embd
  // floats for each token: those that the stage before left, and afterwards this one's. The first
  // stage does not read them, the last leaves them as they are.
  void read(std::span<const int32_t> tokens, std::span<float> residuals,
            const Interrupt& interrupt);

  int n_embd() const { return model_.config().n_embd; }
  const InputStatistics& statistics() const { return statistics_; }

 private:
  Model model_;
  InputStatistics statistics_;
};

// The memory that it takes to calibrate a file a layer after the other, in bytes.
uint64_t calibration_memory(const std::string& path, int n_threads, bool with_products);

}  // namespace gpt2edge
