// From the sums of a matmul's tile to its outputs: bias, activation function, and what is stored.
#pragma once

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/algorithms/quantize_rows.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// The outputs' cache lines arrive while the sums accumulate.
template <int P, int T>
GPT2EDGE_INLINE void prefetch_outputs(const MatmulArgs& args, int panel, int row) {
  if (args.out == nullptr) return;
  const float* out = args.out + args.out_stride * row + static_cast<size_t>(panel) * kPanelRows;
  for (int t = 0; t < T; ++t) {
    for (int p = 0; p < P; ++p) GPT2EDGE_PREFETCH(out + args.out_stride * t + kPanelRows * p);
  }
}

// The activation functions that few models have: once in the program, not in every tile.
Isa::Floats less_usual(Epilogue epilogue, Isa::Floats x) {
  if (epilogue == Epilogue::kGeluErf) return gelu_erf(x);
  if (epilogue == Epilogue::kQuickGelu) return gated_by_itself(x, 1.702f);
  if (epilogue == Epilogue::kSilu) return gated_by_itself(x, 1.0f);
  return epilogue == Epilogue::kRelu ? relu(x) : hyperbolic_tangent(x);
}

// Bias and activation function, for T rows of one panel.
template <int T>
GPT2EDGE_INLINE void activate(const MatmulArgs& args, size_t column, Isa::Floats* sum) {
  if (args.bias != nullptr) {
    const Isa::Floats bias = Isa::load(args.bias + column);
    for (int t = 0; t < T; ++t) sum[t] = Isa::add(sum[t], bias);
  }
  if (args.epilogue == Epilogue::kGeluTanh) {
    for (int t = 0; t < T; ++t) sum[t] = gelu_tanh(sum[t]);
  } else if (args.epilogue != Epilogue::kBias && args.epilogue != Epilogue::kResidual)
      [[unlikely]] {
    for (int t = 0; t < T; ++t) sum[t] = less_usual(args.epilogue, sum[t]);
  }
}

// Stores the finished sums of T rows by P panels as floats.
template <int P, int T>
GPT2EDGE_INLINE void store_floats(const MatmulArgs& args, int panel, int row,
                                  Isa::Floats (*sum)[T]) {
  const size_t stride = args.out_stride;
  float* out = args.out + stride * row + static_cast<size_t>(panel) * kPanelRows;
  for (int p = 0; p < P; ++p, out += kPanelRows) {
    if (args.epilogue == Epilogue::kResidual) {
      for (int t = 0; t < T; ++t) sum[p][t] = Isa::add(Isa::load(out + stride * t), sum[p][t]);
    }
    for (int t = 0; t < T; ++t) Isa::store(out + stride * t, sum[p][t]);
  }
}

template <int P, int T>
GPT2EDGE_INLINE void store_maxima(const MatmulArgs& args, int panel, int row,
                                  Isa::Floats (*sum)[T]) {
  float* out = args.maxima + args.maxima_stride * row + panel / kBlockPanels;
  for (int t = 0; t < T; ++t) {
    Isa::Floats largest = sum[0][t];
    Isa::Floats zero = Isa::sub(largest, largest);  // NaN for what is not finite
    for (int p = 1; p < P; ++p) {
      largest = Isa::max(largest, sum[p][t]);
      zero = Isa::add(zero, Isa::sub(sum[p][t], sum[p][t]));
    }
    out[args.maxima_stride * t] = Isa::max_lane(largest) + Isa::sum(zero);
  }
}

// Stores them as a block of codes instead, which the next matmul reads.
template <int T>
GPT2EDGE_INLINE void store_codes(const MatmulArgs& args, int panel, int row,
                                 Isa::Floats (*sum)[T]) {
  const QuantizedRows codes = args.out_codes;
  const size_t n_blocks = static_cast<size_t>(args.weights.n_out) / kBlockInputs;
  const size_t first = n_blocks * row + static_cast<size_t>(panel / kBlockPanels) * T;
  quantize_block<T>(sum[0], sum[1], codes, first);
}

template <int P, int T>
GPT2EDGE_INLINE void finish(const MatmulArgs& args, int panel, int row, Isa::Floats (*sum)[T]) {
  for (int p = 0; p < P; ++p) {
    activate<T>(args, static_cast<size_t>(panel + p) * kPanelRows, sum[p]);
  }
  if (args.out != nullptr) {
    store_floats<P, T>(args, panel, row, sum);
    if (args.maxima != nullptr) store_maxima<P, T>(args, panel, row, sum);
  } else if constexpr (P == kBlockPanels) {
    store_codes<T>(args, panel, row, sum);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
