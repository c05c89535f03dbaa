#include "quantize/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "quantize/code_grid.h"
#include "quantize/quantize.h"

namespace gpt2edge {
namespace {

constexpr size_t kColumns = 64;  // of a factorization's step
constexpr size_t kRows = 8;      // that share the columns of M while they are in the cache
constexpr size_t kChunk = 16;    // columns whose sums stay in registers

double dot(const float* a, const float* b, size_t n) {
  constexpr size_t kLanes = 8;
  double lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (; i < n; ++i) lanes[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// The lower Cholesky factor of a, in place; `least` bounds the pivots from below.
void cholesky(float* a, size_t n, double least, const InSlices& in_slices) {
  const auto row = [&](size_t i) { return a + i * n; };
  const auto eliminate = [&](size_t i, size_t first, size_t last) {
    for (size_t j = first; j < last; ++j) {
      row(i)[j] = static_cast<float>((row(i)[j] - dot(row(i), row(j), j)) / row(j)[j]);
    }
  };
  for (size_t first = 0; first < n; first += kColumns) {
    const size_t last = std::min(n, first + kColumns);
    for (size_t i = first; i < last; ++i) {
      eliminate(i, first, i);
      const double pivot = row(i)[i] - dot(row(i), row(i), i);
      row(i)[i] = static_cast<float>(std::sqrt(std::max(pivot, least)));
    }
    in_slices(n - last, [&](size_t from, size_t to) {
      for (size_t i = last + from; i < last + to; ++i) eliminate(i, first, last);
    });
  }
}

// A few rows on their way through the columns.
class Rows {
 public:
  Rows(TensorType type, const float* values, size_t n_rows, size_t n_in,
       const ErrorFeedback& feedback)
      : type_(type),
        set_(*code_set(type)),
        values_(values),
        n_rows_(n_rows),
        n_in_(n_in),
        feedback_(feedback),
        targets_(values, values + n_rows * n_in) {}

  void quantize(std::byte* out) {
    const auto block = static_cast<size_t>(set_.block);
    const size_t row_size = row_bytes(type_, n_in_);
    for (size_t first = 0; first < n_in_; first += block) {
      for (size_t r = 0; r < n_rows_; ++r) {
        round_block(r, first, out + r * row_size + row_bytes(type_, first));
      }
      for (size_t r = 0; r < n_rows_; ++r) carry_on(r, first, first + block);
    }
  }

 private:
  // Rounds the numbers first .. of row r, and takes their errors along within the block.
  void round_block(size_t r, size_t first, std::byte* out) {
    float* target = targets_.data() + r * n_in_;
    const auto block = static_cast<size_t>(set_.block);
    const CodeGrid grid = fit_grid(set_, target + first, feedback_.weights + first);
    int8_t levels[kLargestBlock];
    for (size_t i = 0; i < block; ++i) {
      const size_t k = first + i;
      const int level = grid.nearest(static_cast<int>(i), target[k]);
      levels[i] = static_cast<int8_t>(level);
      const float error = values_[r * n_in_ + k] - grid.value(static_cast<int>(i), level);
      errors_[r][i] = error;
      const float* m = feedback_.matrix + k * n_in_;
      for (size_t j = k + 1; j < first + block; ++j) target[j] += error * m[j];
    }
    pack_block(type_, grid, levels, out);
  }

  // Takes the errors of the block first .. last - 1 to all columns after it.
  void carry_on(size_t r, size_t first, size_t last) {
    float* target = targets_.data() + r * n_in_;
    for (size_t j = last; j < n_in_; j += kChunk) {
      float sums[kChunk];
      std::copy_n(target + j, kChunk, sums);
      const float* m = feedback_.matrix + first * n_in_ + j;
      for (size_t i = 0; i < last - first; ++i, m += n_in_) {
        const float error = errors_[r][i];
        for (size_t c = 0; c < kChunk; ++c) sums[c] += error * m[c];
      }
      std::copy_n(sums, kChunk, target + j);
    }
  }

  TensorType type_;
  const CodeSet& set_;
  const float* values_;
  size_t n_rows_, n_in_;
  const ErrorFeedback& feedback_;
  std::vector<float> targets_;
  float errors_[kRows][kLargestBlock];
};

}  // namespace

// Reversed, rows and columns, the lower factor of a matrix is the upper one that M is.
void factor_moments(float* moments, size_t n, float damping, float* weights,
                    const InSlices& in_slices) {
  double trace = 0.0;
  for (size_t i = 0; i < n; ++i) trace += static_cast<double>(moments[i * n + i]);
  // Inputs that are all zero leave nothing to weigh: then every error counts the same.
  const double mean = trace > 0.0 ? trace / static_cast<double>(n) : 1.0;
  const double added = trace > 0.0 ? mean * static_cast<double>(damping) : 1.0;
  for (size_t i = 0; i < n; ++i) {
    moments[i * n + i] = static_cast<float>(static_cast<double>(moments[i * n + i]) + added);
  }
  std::reverse(moments, moments + n * n);
  cholesky(moments, n, mean * 1e-9, in_slices);
  std::reverse(moments, moments + n * n);
  std::vector<float> roots(n);
  for (size_t k = 0; k < n; ++k) {
    roots[k] = moments[k * n + k];
    weights[k] =
        static_cast<float>(static_cast<double>(roots[k]) * static_cast<double>(roots[k]) / mean);
  }
  for (size_t k = 0; k < n; ++k) {
    float* row = moments + k * n;
    for (size_t j = 0; j < n; ++j) row[j] = j < k ? 0.0f : row[j] / roots[j];
  }
}

void quantize_rows_with_feedback(TensorType type, const float* values, size_t n_rows, size_t n_in,
                                 const ErrorFeedback& feedback, std::byte* out, size_t first_row) {
  check_quantizable(type, n_in);
  check_rows(type, values, n_rows, n_in, first_row);
  for (size_t row = 0; row < n_rows; row += kRows) {
    Rows rows(type, values + row * n_in, std::min(kRows, n_rows - row), n_in, feedback);
    rows.quantize(out + row * row_bytes(type, n_in));
  }
}

}  // namespace gpt2edge
