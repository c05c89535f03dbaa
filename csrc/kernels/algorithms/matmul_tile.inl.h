// The inner loops of a tile: T rows of activations times P panels of 16 weight rows.
//
// One loop for float weights and one for codes, each a template over the form of the weights.
#pragma once

#include "kernels/algorithms/integer_forms.inl.h"
#include "kernels/algorithms/prefetch.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// The loops below accumulate in local arrays and copy them out at the end: with the caller's array
// compilers would store the sums after every block.
template <int P, int T>
GPT2EDGE_INLINE void clear(Isa::Floats (*sum)[T]) {
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) {
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) sum[p][t] = Isa::broadcast(0.0f);
  }
}

template <int P, int T>
GPT2EDGE_INLINE void copy(const Isa::Floats (*sum)[T], Isa::Floats (*out)[T]) {
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) {
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) out[p][t] = sum[p][t];
  }
}

// ---- weights stored as floats ----

struct F32Weights {
  static constexpr size_t kStep = 64;
  static Isa::Floats load(const uint8_t* p) { return Isa::load(reinterpret_cast<const float*>(p)); }
};
struct F16Weights {
  static constexpr size_t kStep = 32;
  static Isa::Floats load(const uint8_t* p) { return Isa::load_f16(p); }
};
struct BF16Weights {
  static constexpr size_t kStep = 32;
  static Isa::Floats load(const uint8_t* p) { return Isa::load_bf16(p); }
};

template <typename Weights>
struct FloatTile {
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const MatmulArgs& args, int panel, int row,
                                         const Prefetcher& prefetcher, Isa::Floats (*out)[T]) {
    const size_t panel_bytes = args.weights.layout.panel_bytes;
    const uint8_t* w = args.weights.panels + panel_bytes * (panel - args.weights.first_panel);
    const float* x[T];
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) x[t] = args.values + args.values_stride * (row + t);
    Isa::Floats sum[P][T];
    clear<P, T>(sum);
    constexpr int kLineInputs = 64 / Weights::kStep;
    const int n_in = args.weights.layout.n_in;
    for (int k = 0; k < n_in; ++k, w += Weights::kStep) {
      if (k % kLineInputs == 0) prefetcher.prefetch<P, 64>(w, panel_bytes);
      Isa::Floats weights[P];
      GPT2EDGE_UNROLL
      for (int p = 0; p < P; ++p) weights[p] = Weights::load(w + panel_bytes * p);
      GPT2EDGE_UNROLL
      for (int t = 0; t < T; ++t) {
        const Isa::Floats input = Isa::broadcast(x[t][k]);
        GPT2EDGE_UNROLL
        for (int p = 0; p < P; ++p) sum[p][t] = Isa::fma(weights[p], input, sum[p][t]);
      }
    }
    copy<P, T>(sum, out);
  }
};

// ---- weights stored as codes ----

// The dot products of part Part of a block, from the given initial values.
template <typename Form, int Part, int P, int T>
GPT2EDGE_INLINE void dot_codes(const Block& block, const int32_t* starts, Isa::Floats (*dot)[T]) {
  using Codes = typename Form::Codes;
  using Rows = Isa::Rows<typename Codes::Bits, T>;
  constexpr int kPartSteps = 8 / Form::kParts;
  constexpr int kLoads = Codes::kHighStep == 0 ? kPartSteps : Codes::kHighStep;
  const int8_t* x = block.x + 4 * T * (kPartSteps * Part);
  typename Rows::Dots dots[P];
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) dots[p] = Rows::start(starts);
  GPT2EDGE_UNROLL
  for (int s = 0; s < kLoads; s += Rows::kSteps) {
    typename Rows::Codes low[P], high[P];
    GPT2EDGE_UNROLL
    for (int p = 0; p < P; ++p) {
      Codes::template load<Rows, Part>(block, block.panel_bytes * p, s, low[p], high[p]);
    }
    Rows::step(dots, low, x + 4 * T * s);
    if constexpr (Codes::kHighStep > 0) {
      Rows::step(dots, high, x + 4 * T * (s + Codes::kHighStep));
    }
  }
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) Rows::finish(dots[p], starts, dot[p]);
}

// sum += dot * (scale of the weights * scale of the activations)
template <int T>
GPT2EDGE_INLINE void add_scaled(const Isa::Floats (&dot)[T], Isa::Floats weights,
                                const float* x_scales, Isa::Floats (&sum)[T]) {
  GPT2EDGE_UNROLL
  for (int t = 0; t < T; ++t) {
    const Isa::Floats both = Isa::mul(weights, Isa::broadcast(x_scales[t]));
    sum[t] = Isa::fma(dot[t], both, sum[t]);
  }
}

// The same for the dot products of part Part of a block.
template <typename Form, int Part, int P, int T>
GPT2EDGE_INLINE void add_part(const Block& block, Isa::Floats (*sum)[T]) {
  int32_t room[T];
  Isa::Floats dot[P][T];
  dot_codes<Form, Part, P, T>(block, Form::Starts::template of<T>(block, Part, room), dot);
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) {
    add_scaled<T>(dot[p], Form::scale(block, Part, block.panel_bytes * p), block.x_scales, sum[p]);
  }
}

// sum += min * sum of the activations, for part Part of a block.
template <typename Form, int Part, int P, int T>
GPT2EDGE_INLINE void add_minima(const Block& block, Isa::Floats (*sum)[T]) {
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) {
    const Isa::Floats weights = Form::min(block, Part, block.panel_bytes * p);
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) {
      const float inputs = Form::kParts == 1
                               ? block.scaled_sums[t]
                               : static_cast<float>(block.sums[T * Part + t]) * block.x_scales[t];
      sum[p][t] = Isa::fma(weights, Isa::broadcast(inputs), sum[p][t]);
    }
  }
}

template <typename Form, int Part, int P, int T>
GPT2EDGE_INLINE void accumulate_part(const Block& block, Isa::Floats (*sum)[T]) {
  add_part<Form, Part, P, T>(block, sum);
  if constexpr (Form::kHasMin) add_minima<Form, Part, P, T>(block, sum);
}

template <typename Form>
struct IntegerTile {
  static constexpr size_t kCodesOffset =
      Form::kScalesOffset + Form::kUnitBlocks * Form::kScaleBytes;
  static constexpr size_t kUnitBytes = kCodesOffset + Form::kUnitBlocks * Form::Codes::kBytes;

  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const MatmulArgs& args, int panel, int row,
                                         const Prefetcher& prefetcher, Isa::Floats (*out)[T]) {
    const PanelLayout& layout = args.weights.layout;
    const uint8_t* unit =
        args.weights.panels + layout.panel_bytes * (panel - args.weights.first_panel);
    const int n_blocks = layout.n_in / kBlockInputs;
    const size_t first = static_cast<size_t>(row) * n_blocks;
    const QuantizedRows& rows = args.quantized;
    const CodeTable table(layout);
    Block block = {nullptr,
                   nullptr,
                   nullptr,
                   table.code,
                   layout.panel_bytes,
                   rows.codes + first * kBlockInputs,
                   rows.scales + first,
                   rows.sums + 2 * first,
                   rows.starts8 + first,
                   rows.starts4 + first,
                   rows.scaled_sums + first};
    Isa::Floats sum[P][T];
    clear<P, T>(sum);
    for (int b = 0; b < n_blocks; ++b) {
      const int i = b % Form::kUnitBlocks;
      block.unit = unit;
      block.scales = unit + Form::kScalesOffset + Form::kScaleBytes * i;
      block.codes = unit + kCodesOffset + Form::Codes::kBytes * i;
      prefetcher.prefetch<P, Form::Codes::kBytes>(block.codes, layout.panel_bytes);
      accumulate_part<Form, 0, P, T>(block, sum);
      if constexpr (Form::kParts == 2) accumulate_part<Form, 1, P, T>(block, sum);
      if (i == Form::kUnitBlocks - 1) unit += kUnitBytes;
      block.x += kBlockInputs * T;
      block.x_scales += T;
      block.sums += 2 * T;
      block.starts8 += T;
      block.starts4 += T;
      block.scaled_sums += T;
    }
    copy<P, T>(sum, out);
  }
};

}  // namespace
}  // namespace gpt2edge::kernels
