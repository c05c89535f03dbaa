// What a tile of rows adds up: T rows of activations times P panels of 16 weight rows.
//
// A loop for weights that are floats and one for codes, whose forms differ in how a block's codes
// and scales meet.
#pragma once

#include "kernels/algorithms/look_ahead.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// The loops below add up in arrays of their own and copy them out at the end: into an array that
// came from elsewhere they would store after every block.
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
  static GPT2EDGE_INLINE void add_up(const MatmulArgs& args, int panel, int row, const Ahead& ahead,
                                     Isa::Floats (*out)[T]) {
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
      if (k % kLineInputs == 0) ahead.ask<P, 64>(w, panel_bytes);
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

// One block of 32 inputs, as a tile of T rows by P panels meets it: the first panel's part, and the
// rows'.
struct Block {
  const uint8_t *unit, *scales, *codes;
  size_t panel_bytes;  // to the next panel's part
  const int8_t* x;     // [step][T][4]
  const float* x_scales;
  const int32_t *sums, *starts8, *starts4;
  const float* scaled_sums;
};

// Steps [First, Last) of a block against 8-bit codes, from the given starts.
template <int First, int Last, int P, int T>
GPT2EDGE_INLINE void dot_codes8(const Block& block, const int32_t* starts, Isa::Floats (*dot)[T]) {
  using Rows = Isa::Rows<Isa::Bits8, T>;
  typename Rows::Dots dots[P];
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) dots[p] = Rows::start(starts);
  GPT2EDGE_UNROLL
  for (int s = First; s < Last; s += Rows::kSteps) {
    typename Rows::Codes codes[P];
    GPT2EDGE_UNROLL
    for (int p = 0; p < P; ++p) codes[p] = Rows::load(block.codes + block.panel_bytes * p + 64 * s);
    Rows::step(dots, codes, block.x + 4 * T * s);
  }
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) Rows::finish(dots[p], starts, dot[p]);
}

// A block against 4-bit codes: load s holds the codes of steps s and s + 4.
template <int P, int T>
GPT2EDGE_INLINE void dot_codes4(const Block& block, const int32_t* starts, Isa::Floats (*dot)[T]) {
  using Rows = Isa::Rows<Isa::Bits4, T>;
  typename Rows::Dots dots[P];
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) dots[p] = Rows::start(starts);
  GPT2EDGE_UNROLL
  for (int s = 0; s < 4; s += Rows::kSteps) {
    typename Rows::Codes low[P], high[P];
    GPT2EDGE_UNROLL
    for (int p = 0; p < P; ++p) {
      Rows::load(block.codes + block.panel_bytes * p + 64 * s, low[p], high[p]);
    }
    Rows::step(dots, low, block.x + 4 * T * s);
    Rows::step(dots, high, block.x + 4 * T * (s + 4));
  }
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) Rows::finish(dots[p], starts, dot[p]);
}

// Half a block against 6-bit codes: load s of the low bits and the half's one load of high bits
// hold the codes of step s.
template <int Half, int P, int T>
GPT2EDGE_INLINE void dot_codes6(const Block& block, const int32_t* starts, Isa::Floats (*dot)[T]) {
  using Rows = Isa::Rows<Isa::Bits6, T>;
  typename Rows::Dots dots[P];
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) dots[p] = Rows::start(starts);
  GPT2EDGE_UNROLL
  for (int s = 0; s < 4; s += Rows::kSteps) {
    typename Rows::Codes codes[P];
    GPT2EDGE_UNROLL
    for (int p = 0; p < P; ++p) {
      const uint8_t* low = block.codes + block.panel_bytes * p;
      codes[p] = Rows::load(low + 64 * s, 4 * Half, low + 256 + 64 * Half, 2 * s);
    }
    Rows::step(dots, codes, block.x + 4 * T * (4 * Half + s));
  }
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) Rows::finish(dots[p], starts, dot[p]);
}

GPT2EDGE_INLINE Isa::Floats load_floats(const uint8_t* p) {
  return Isa::load(reinterpret_cast<const float*>(p));
}

// sum += dot * (scale of the weights * scale of the activations); `scale` gives that of panel p.
template <int P, int T, typename Scale>
GPT2EDGE_INLINE void add_scaled(const Block& block, Isa::Floats (*dot)[T], Isa::Floats (*sum)[T],
                                Scale scale) {
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) {
    const Isa::Floats weights = scale(block.panel_bytes * p);
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) {
      const Isa::Floats both = Isa::mul(weights, Isa::broadcast(block.x_scales[t]));
      sum[p][t] = Isa::fma(dot[p][t], both, sum[p][t]);
    }
  }
}

// sum += min * sum of the activations
template <int P, int T, typename Min>
GPT2EDGE_INLINE void add_minima(const Block& block, Isa::Floats (*sum)[T], Min min) {
  GPT2EDGE_UNROLL
  for (int p = 0; p < P; ++p) {
    const Isa::Floats weights = min(block.panel_bytes * p);
    GPT2EDGE_UNROLL
    for (int t = 0; t < T; ++t) {
      sum[p][t] = Isa::fma(weights, Isa::broadcast(block.scaled_sums[t]), sum[p][t]);
    }
  }
}

// The integer forms differ in how a block's codes and scales meet. kScalesOffset is that of the
// first block's scales in a unit, kScaleBytes what a block has of them.
struct Int8 {
  static constexpr int kUnitBlocks = 2;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 32, kCodeBytes = 512;
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats (*sum)[T]) {
    Isa::Floats dot[P][T];
    dot_codes8<0, 8, P, T>(block, block.starts8, dot);
    add_scaled<P, T>(block, dot, sum, [&](size_t at) { return Isa::load_f16(block.scales + at); });
  }
};

struct Int4 {
  static constexpr int kUnitBlocks = 2;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 32, kCodeBytes = 256;
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats (*sum)[T]) {
    Isa::Floats dot[P][T];
    dot_codes4<P, T>(block, block.starts4, dot);
    add_scaled<P, T>(block, dot, sum, [&](size_t at) { return Isa::load_f16(block.scales + at); });
  }
};

struct Int8Affine {
  static constexpr int kUnitBlocks = 1;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 128, kCodeBytes = 512;
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats (*sum)[T]) {
    Isa::Floats dot[P][T];
    dot_codes8<0, 8, P, T>(block, block.starts8, dot);
    add_scaled<P, T>(block, dot, sum, [&](size_t at) { return load_floats(block.scales + at); });
    add_minima<P, T>(block, sum, [&](size_t at) { return load_floats(block.scales + 64 + at); });
  }
};

// A scale for each half of a block, where Int8Affine has scale and min. Only what kInt6Super is
// unpacked to: no file has it.
struct Int8Halves {
  static constexpr int kUnitBlocks = 1;
  static constexpr size_t kScalesOffset = 0, kScaleBytes = 128, kCodeBytes = 512;
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats (*sum)[T]) {
    accumulate_half<0, P, T>(block, sum);
    accumulate_half<1, P, T>(block, sum);
  }

 private:
  template <int Half, int P, int T>
  static GPT2EDGE_INLINE void accumulate_half(const Block& block, Isa::Floats (*sum)[T]) {
    int32_t starts[T];
    for (int t = 0; t < T; ++t) starts[t] = -Isa::kCodeBias * block.sums[T * Half + t];
    Isa::Floats dot[P][T];
    dot_codes8<4 * Half, 4 * Half + 4, P, T>(block, starts, dot);
    add_scaled<P, T>(block, dot, sum,
                     [&](size_t at) { return load_floats(block.scales + 64 * Half + at); });
  }
};

struct Int4Super {
  static constexpr int kUnitBlocks = 8;
  static constexpr size_t kScalesOffset = 64, kScaleBytes = 32, kCodeBytes = 256;
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats (*sum)[T]) {
    const int32_t starts[T] = {};
    Isa::Floats dot[P][T];
    dot_codes4<P, T>(block, starts, dot);
    add_scaled<P, T>(block, dot, sum, [&](size_t at) {
      return Isa::mul(Isa::load_f16(block.unit + at), Isa::load_u8(block.scales + at));
    });
    add_minima<P, T>(block, sum, [&](size_t at) {
      const Isa::Floats min = Isa::load_u8(block.scales + 16 + at);
      return Isa::sub(Isa::broadcast(0.0f), Isa::mul(Isa::load_f16(block.unit + 32 + at), min));
    });
  }
};

struct Int6Super {
  static constexpr int kUnitBlocks = 8;
  static constexpr size_t kScalesOffset = 64, kScaleBytes = 32, kCodeBytes = 384;
  template <int P, int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats (*sum)[T]) {
    accumulate_half<0, P, T>(block, sum);
    accumulate_half<1, P, T>(block, sum);
  }

 private:
  template <int Half, int P, int T>
  static GPT2EDGE_INLINE void accumulate_half(const Block& block, Isa::Floats (*sum)[T]) {
    int32_t starts[T];
    for (int t = 0; t < T; ++t) starts[t] = -32 * block.sums[T * Half + t];
    Isa::Floats dot[P][T];
    dot_codes6<Half, P, T>(block, starts, dot);
    add_scaled<P, T>(block, dot, sum, [&](size_t at) {
      return Isa::mul(Isa::load_f16(block.unit + at), Isa::load_s8(block.scales + 16 * Half + at));
    });
  }
};

template <typename Form>
struct IntegerTile {
  static constexpr size_t kCodesOffset =
      Form::kScalesOffset + Form::kUnitBlocks * Form::kScaleBytes;
  static constexpr size_t kUnitBytes = kCodesOffset + Form::kUnitBlocks * Form::kCodeBytes;

  template <int P, int T>
  static GPT2EDGE_INLINE void add_up(const MatmulArgs& args, int panel, int row, const Ahead& ahead,
                                     Isa::Floats (*out)[T]) {
    const PanelLayout& layout = args.weights.layout;
    const uint8_t* unit =
        args.weights.panels + layout.panel_bytes * (panel - args.weights.first_panel);
    const int n_blocks = layout.n_in / kBlockInputs;
    const size_t first = static_cast<size_t>(row) * n_blocks;
    const QuantizedRows& rows = args.quantized;
    Block block = {nullptr,
                   nullptr,
                   nullptr,
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
      block.codes = unit + kCodesOffset + Form::kCodeBytes * i;
      ahead.ask<P, Form::kCodeBytes>(block.codes, layout.panel_bytes);
      Form::template accumulate<P, T>(block, sum);
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
