// Rows of activations times packed panels of weights.
//
// One loop for each kind of weights: a tile of up to Isa::kMaxTokens rows of activations against one
// panel of 16 weight rows. The panel stays in the first-level cache while all rows pass over it.
#pragma once

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

void finish(const MatmulArgs& args, int row, int panel, Isa::Floats v) {
  const size_t column = static_cast<size_t>(panel) * kPanelRows;
  float* out = args.out + args.out_stride * row + column;
  if (args.bias != nullptr) v = Isa::add(v, Isa::load(args.bias + column));
  if (args.epilogue == Epilogue::kGeluTanh) v = gelu_tanh(v);
  if (args.epilogue == Epilogue::kGeluErf) v = gelu_erf(v);
  if (args.epilogue == Epilogue::kResidual) v = Isa::add(Isa::load(out), v);
  Isa::store(out, v);
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
  template <int T>
  static void run(const MatmulArgs& args, int panel, int row) {
    const uint8_t* w = args.weights.panels + args.weights.layout.panel_bytes * panel;
    const float* x[T];
    Isa::Floats sum[T];
    for (int t = 0; t < T; ++t) {
      x[t] = args.values + args.values_stride * (row + t);
      sum[t] = Isa::broadcast(0.0f);
    }
    const int n_in = args.weights.layout.n_in;
    for (int k = 0; k < n_in; ++k, w += Weights::kStep) {
      const Isa::Floats weights = Weights::load(w);
      for (int t = 0; t < T; ++t) sum[t] = Isa::fma(weights, Isa::broadcast(x[t][k]), sum[t]);
    }
    for (int t = 0; t < T; ++t) finish(args, row + t, panel, sum[t]);
  }
};

// ---- weights stored as codes ----

// Scales of the 16 rows of a panel, as f16 or f32.
struct F16Scales {
  static constexpr size_t kBytes = 32;
  static Isa::Floats load(const uint8_t* p) { return Isa::load_f16(p); }
};
struct F32Scales {
  static constexpr size_t kBytes = 64;
  static Isa::Floats load(const uint8_t* p) { return Isa::load(reinterpret_cast<const float*>(p)); }
};

// Inputs [First, First + Count) of a block against 8-bit codes.
template <int First, int Count, int T>
void dot_codes8(const uint8_t* codes, const int8_t* const* x, const int32_t* const* sums,
                Isa::Ints* dot) {
  Isa::Dot8 acc[T];
  for (int t = 0; t < T; ++t) {
    int32_t x_sum = 0;
    for (int h = First / 16; h < (First + Count) / 16; ++h) x_sum += sums[t][h];
    acc[t] = Isa::start8(x_sum);
  }
  for (int s = First / 4; s < (First + Count) / 4; ++s) {
    const Isa::Codes8 weights = Isa::load_codes8(codes + 64 * s);
    for (int t = 0; t < T; ++t) acc[t] = Isa::step8(acc[t], weights, x[t] + 4 * s);
  }
  for (int t = 0; t < T; ++t) dot[t] = Isa::finish8(acc[t]);
}

// All 32 inputs of a block against 4-bit codes.
template <int T>
void dot_codes4(const uint8_t* codes, const int8_t* const* x, const int32_t* const* sums,
                Isa::Ints* dot) {
  Isa::Dot4 acc[T];
  for (int t = 0; t < T; ++t) acc[t] = Isa::start4(sums[t][0] + sums[t][1]);
  for (int s = 0; s < 4; ++s) {
    Isa::Codes4 low, high;
    Isa::load_codes4(codes + 64 * s, low, high);
    for (int t = 0; t < T; ++t) acc[t] = Isa::step4(acc[t], low, x[t] + 4 * s);
    for (int t = 0; t < T; ++t) acc[t] = Isa::step4(acc[t], high, x[t] + 16 + 4 * s);
  }
  for (int t = 0; t < T; ++t) dot[t] = Isa::finish4(acc[t], sums[t][0] + sums[t][1]);
}

// sum += dot * (scale of the weights * scale of the activations)
template <int T>
void add_scaled(const Isa::Ints* dot, Isa::Floats scale, const float* x_scale, Isa::Floats* sum) {
  for (int t = 0; t < T; ++t) {
    const Isa::Floats both = Isa::mul(scale, Isa::broadcast(x_scale[t]));
    sum[t] = Isa::fma(Isa::to_floats(dot[t]), both, sum[t]);
  }
}

// One block of 32 inputs, as a tile meets it: the panel's part and each row's.
template <int T>
struct Block {
  const uint8_t *codes, *scales, *mins;
  const int8_t* x[T];
  const int32_t* sums[T];  // of inputs 0..15 and 16..31
  float x_scale[T];
};

// The four integer forms differ in how a block's codes and scales meet.
struct Int8 {
  static constexpr size_t kCodeBytes = 512, kScaleBytes = F16Scales::kBytes;
  template <int T>
  static void accumulate(const Block<T>& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes8<0, 32, T>(block.codes, block.x, block.sums, dot);
    add_scaled<T>(dot, F16Scales::load(block.scales), block.x_scale, sum);
  }
};

struct Int4 {
  static constexpr size_t kCodeBytes = 256, kScaleBytes = F16Scales::kBytes;
  template <int T>
  static void accumulate(const Block<T>& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes4<T>(block.codes, block.x, block.sums, dot);
    add_scaled<T>(dot, F16Scales::load(block.scales), block.x_scale, sum);
  }
};

struct Int8Affine {
  static constexpr size_t kCodeBytes = 512, kScaleBytes = F32Scales::kBytes;
  template <int T>
  static void accumulate(const Block<T>& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes8<0, 32, T>(block.codes, block.x, block.sums, dot);
    add_scaled<T>(dot, F32Scales::load(block.scales), block.x_scale, sum);
    const Isa::Floats min = F32Scales::load(block.mins);
    for (int t = 0; t < T; ++t) {
      const float x_sum = static_cast<float>(block.sums[t][0] + block.sums[t][1]);
      sum[t] = Isa::fma(min, Isa::broadcast(x_sum * block.x_scale[t]), sum[t]);
    }
  }
};

struct Int8Fine {
  static constexpr size_t kCodeBytes = 512, kScaleBytes = 2 * F32Scales::kBytes;
  template <int T>
  static void accumulate(const Block<T>& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes8<0, 16, T>(block.codes, block.x, block.sums, dot);
    add_scaled<T>(dot, F32Scales::load(block.scales), block.x_scale, sum);
    dot_codes8<16, 16, T>(block.codes, block.x, block.sums, dot);
    add_scaled<T>(dot, F32Scales::load(block.scales + F32Scales::kBytes), block.x_scale, sum);
  }
};

template <typename Form>
struct IntegerTile {
  template <int T>
  static void run(const MatmulArgs& args, int panel, int row) {
    const PanelLayout& layout = args.weights.layout;
    const uint8_t* base = args.weights.panels + layout.panel_bytes * panel;
    const int n_blocks = layout.n_in / kBlockInputs;
    const size_t first = static_cast<size_t>(row) * n_blocks;
    Isa::Floats sum[T];
    for (int t = 0; t < T; ++t) sum[t] = Isa::broadcast(0.0f);
    for (int b = 0; b < n_blocks; ++b) {
      Block<T> block;
      block.scales = base + Form::kScaleBytes * b;
      block.mins = base + layout.mins_offset + F32Scales::kBytes * b;
      block.codes = base + layout.codes_offset + Form::kCodeBytes * b;
      for (int t = 0; t < T; ++t) {
        const size_t at = first + static_cast<size_t>(t) * n_blocks + b;
        block.x[t] = args.quantized.codes + at * kBlockInputs;
        block.sums[t] = args.quantized.sums + at * 2;
        block.x_scale[t] = args.quantized.scales[at];
      }
      Form::template accumulate<T>(block, sum);
    }
    for (int t = 0; t < T; ++t) finish(args, row + t, panel, sum[t]);
  }
};

// ---- all rows over a range of panels ----

// The last rows, fewer than a full tile: the tile of exactly that many.
template <typename Tile, int T>
void rest_of_rows(const MatmulArgs& args, int panel, int row) {
  if constexpr (T > 0) {
    if (args.n_rows - row == T) {
      Tile::template run<T>(args, panel, row);
    } else {
      rest_of_rows<Tile, T - 1>(args, panel, row);
    }
  }
}

template <typename Tile>
void all_rows(const MatmulArgs& args) {
  constexpr int T = Isa::kMaxTokens;
  for (int panel = args.first_panel; panel < args.last_panel; ++panel) {
    int row = 0;
    for (; row + T <= args.n_rows; row += T) Tile::template run<T>(args, panel, row);
    rest_of_rows<Tile, T - 1>(args, panel, row);
  }
}

void matmul(const MatmulArgs& args) {
  switch (args.weights.layout.form) {
    case WeightForm::kF32: return all_rows<FloatTile<F32Weights>>(args);
    case WeightForm::kF16: return all_rows<FloatTile<F16Weights>>(args);
    case WeightForm::kBF16: return all_rows<FloatTile<BF16Weights>>(args);
    case WeightForm::kInt8: return all_rows<IntegerTile<Int8>>(args);
    case WeightForm::kInt4: return all_rows<IntegerTile<Int4>>(args);
    case WeightForm::kInt8Affine: return all_rows<IntegerTile<Int8Affine>>(args);
    case WeightForm::kInt8Fine: return all_rows<IntegerTile<Int8Fine>>(args);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
