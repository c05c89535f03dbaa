#include "quantize/scale_search.h"

#include <cmath>
#include <cstring>

#include "base/half.h"
#include "formats/dequantize.h"

namespace gpt2edge {
namespace {

constexpr int kBlock = 32;
constexpr int kLanes = 8;  // partial sums, so that the compiler may use vectors of up to 8 floats

// The range of a format's codes, and the scales to try: largest number / step, for each step.
struct Format {
  float lowest, highest;  // codes
  float first_step, step_size;
  int n_steps;
};

// Steps above the highest code's magnitude leave codes above the largest number unused; steps below
// clip it.
constexpr Format kQ4_0{-8.0f, 7.0f, 5.5f, 0.125f, 29};
constexpr Format kQ8_0{-127.0f, 127.0f, 120.0f, 0.25f, 33};

float sum_of(const float (&lanes)[kLanes]) {
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// The nearest code to each number under scale d.
void encode(const Format& format, const float* x, float d, float* codes) {
  const float inverse = 1.0f / d;
  for (int i = 0; i < kBlock; ++i) {
    float scaled = x[i] * inverse;
    scaled = scaled < format.highest ? scaled : format.highest;
    scaled = scaled > format.lowest ? scaled : format.lowest;
    codes[i] = static_cast<float>(static_cast<int>(scaled + 128.5f) - 128);
  }
}

float squared_error(const float* x, const float* codes, float d) {
  float lanes[kLanes] = {};
  for (int i = 0; i < kBlock; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float error = x[i + lane] - codes[i + lane] * d;
      lanes[lane] += error * error;
    }
  }
  return sum_of(lanes);
}

// The scale with the least squared error for given codes.
float least_squares(const float* x, const float* codes) {
  float products[kLanes] = {}, squares[kLanes] = {};
  for (int i = 0; i < kBlock; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      products[lane] += x[i + lane] * codes[i + lane];
      squares[lane] += codes[i + lane] * codes[i + lane];
    }
  }
  return sum_of(products) / sum_of(squares);
}

// The best scale found so far, its codes and its error.
class Search {
 public:
  Search(const Format& format, const float* x, float error_to_beat)
      : format_(format), x_(x), least_(error_to_beat) {}

  void try_scale(float scale) {
    const uint16_t stored = float_to_half(scale);
    const float d = half_to_float(stored);
    if (d == 0.0f || !std::isfinite(d)) return;
    float codes[kBlock];
    encode(format_, x_, d, codes);
    const float error = squared_error(x_, codes, d);
    if (!(error < least_)) return;
    least_ = error;
    stored_ = stored;
    std::memcpy(codes_, codes, sizeof codes_);
    found_ = true;
  }

  bool found() const { return found_; }
  uint16_t stored_scale() const { return stored_; }
  const float* codes() const { return codes_; }

 private:
  const Format& format_;
  const float* x_;
  float least_;
  uint16_t stored_ = 0;
  float codes_[kBlock] = {};
  bool found_ = false;
};

Search best_scale(const Format& format, TensorType type, const float* x, const std::byte* block) {
  float restored[kBlock], largest = 0.0f;
  dequantize_row(type, block, restored, kBlock);
  for (int i = 0; i < kBlock; ++i) largest = std::fmax(largest, std::fabs(x[i]));
  Search search(format, x, squared_error(x, restored, 1.0f));
  const bool symmetric = format.lowest == -format.highest;
  for (int i = 0; i < format.n_steps; ++i) {
    const float scale = largest / (format.first_step + format.step_size * static_cast<float>(i));
    search.try_scale(scale);
    if (!symmetric) search.try_scale(-scale);
  }
  if (search.found()) search.try_scale(least_squares(x, search.codes()));
  return search;
}

}  // namespace

void improve_scale(TensorType type, const float* x, std::byte* block) {
  if (type == TensorType::Q4_0) {
    const Search best = best_scale(kQ4_0, type, x, block);
    if (!best.found()) return;
    BlockQ4_0 better;
    better.d = best.stored_scale();
    const auto code = [&](int i) { return static_cast<int>(best.codes()[i]) + 8; };
    for (int i = 0; i < 16; ++i) {
      better.qs[i] = static_cast<uint8_t>(code(i) | code(i + 16) << 4);
    }
    std::memcpy(block, &better, sizeof better);
  } else if (type == TensorType::Q8_0) {
    const Search best = best_scale(kQ8_0, type, x, block);
    if (!best.found()) return;
    BlockQ8_0 better;
    better.d = best.stored_scale();
    for (int i = 0; i < kBlock; ++i) better.qs[i] = static_cast<int8_t>(best.codes()[i]);
    std::memcpy(block, &better, sizeof better);
  }
}

}  // namespace gpt2edge
