// Rows of activations times packed panels of weights.
//
// One loop for each kind of weights: a tile of up to Isa::kMaxTokens rows of activations against
// one panel of 16 weight rows. The panel stays in the first-level cache while all rows pass over
// it.
#pragma once

#include "kernels/algorithms/elementary.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// The sums of T rows, all products added, become outputs.
template <int T>
GPT2EDGE_INLINE void finish(const MatmulArgs& args, int row, int panel, Isa::Floats* sum) {
  const size_t column = static_cast<size_t>(panel) * kPanelRows;
  float* out = args.out + args.out_stride * row + column;
  if (args.bias != nullptr) {
    const Isa::Floats bias = Isa::load(args.bias + column);
    for (int t = 0; t < T; ++t) sum[t] = Isa::add(sum[t], bias);
  }
  switch (args.epilogue) {
    case Epilogue::kBias:
      break;
    case Epilogue::kGeluTanh:
      for (int t = 0; t < T; ++t) sum[t] = gelu_tanh(sum[t]);
      break;
    case Epilogue::kGeluErf:
      for (int t = 0; t < T; ++t) sum[t] = gelu_erf(sum[t]);
      break;
    case Epilogue::kResidual:
      for (int t = 0; t < T; ++t) sum[t] = Isa::add(Isa::load(out + args.out_stride * t), sum[t]);
      break;
  }
  for (int t = 0; t < T; ++t) Isa::store(out + args.out_stride * t, sum[t]);
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
    finish<T>(args, row, panel, sum);
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

// One block of 32 inputs, as a tile of T rows meets it: the panel's part and the rows'.
struct Block {
  const uint8_t *codes, *scales;
  const int8_t* x;  // [step][T][4]
  const float* x_scales;
  const int32_t *sums, *starts8, *starts4;
};

// Steps [First, Last) of a block against 8-bit codes, from the given starts.
template <int First, int Last, int T>
GPT2EDGE_INLINE void dot_codes8(const Block& block, const int32_t* starts, Isa::Ints* dot) {
  Isa::Dot8 acc[T];
  for (int t = 0; t < T; ++t) acc[t] = Isa::start8(starts[t]);
  for (int s = First; s < Last; ++s) {
    const Isa::Codes8 weights = Isa::load_codes8(block.codes + 64 * s);
    for (int t = 0; t < T; ++t) {
      acc[t] = Isa::step8(acc[t], weights, block.x + 4 * (T * s + t));
    }
  }
  for (int t = 0; t < T; ++t) dot[t] = Isa::finish8(acc[t]);
}

// A block against 4-bit codes: load s holds the codes of steps s and s + 4.
template <int T>
GPT2EDGE_INLINE void dot_codes4(const Block& block, Isa::Ints* dot) {
  Isa::Dot4 acc[T];
  for (int t = 0; t < T; ++t) acc[t] = Isa::start4(block.starts4[t]);
  for (int s = 0; s < 4; ++s) {
    Isa::Codes4 low, high;
    Isa::load_codes4(block.codes + 64 * s, low, high);
    for (int t = 0; t < T; ++t) acc[t] = Isa::step4(acc[t], low, block.x + 4 * (T * s + t));
    for (int t = 0; t < T; ++t) {
      acc[t] = Isa::step4(acc[t], high, block.x + 4 * (T * (s + 4) + t));
    }
  }
  for (int t = 0; t < T; ++t) dot[t] = Isa::finish4(acc[t], block.starts4[t]);
}

// sum += dot * (scale of the weights * scale of the activations)
template <int T>
GPT2EDGE_INLINE void add_scaled(const Isa::Ints* dot, Isa::Floats scale, const float* x_scales,
                                Isa::Floats* sum) {
  for (int t = 0; t < T; ++t) {
    const Isa::Floats both = Isa::mul(scale, Isa::broadcast(x_scales[t]));
    sum[t] = Isa::fma(Isa::to_floats(dot[t]), both, sum[t]);
  }
}

// The four integer forms differ in how a block's codes and scales meet.
struct Int8 {
  static constexpr size_t kCodeBytes = 512, kScaleBytes = F16Scales::kBytes;
  static constexpr int kUnitBlocks = 2;
  template <int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes8<0, 8, T>(block, block.starts8, dot);
    add_scaled<T>(dot, F16Scales::load(block.scales), block.x_scales, sum);
  }
};

struct Int4 {
  static constexpr size_t kCodeBytes = 256, kScaleBytes = F16Scales::kBytes;
  static constexpr int kUnitBlocks = 2;
  template <int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes4<T>(block, dot);
    add_scaled<T>(dot, F16Scales::load(block.scales), block.x_scales, sum);
  }
};

struct Int8Affine {
  static constexpr size_t kCodeBytes = 512, kScaleBytes = 2 * F32Scales::kBytes;  // and minima
  static constexpr int kUnitBlocks = 1;
  template <int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    dot_codes8<0, 8, T>(block, block.starts8, dot);
    add_scaled<T>(dot, F32Scales::load(block.scales), block.x_scales, sum);
    const Isa::Floats min = F32Scales::load(block.scales + F32Scales::kBytes);
    for (int t = 0; t < T; ++t) {
      const float x_sum = static_cast<float>(block.sums[t] + block.sums[T + t]);
      sum[t] = Isa::fma(min, Isa::broadcast(x_sum * block.x_scales[t]), sum[t]);
    }
  }
};

struct Int8Fine {
  static constexpr size_t kCodeBytes = 512, kScaleBytes = 2 * F32Scales::kBytes;
  static constexpr int kUnitBlocks = 1;
  template <int T>
  static GPT2EDGE_INLINE void accumulate(const Block& block, Isa::Floats* sum) {
    Isa::Ints dot[T];
    int32_t starts[2 * T];
    for (int i = 0; i < 2 * T; ++i) starts[i] = -Isa::kCodeBias * block.sums[i];
    dot_codes8<0, 4, T>(block, starts, dot);
    add_scaled<T>(dot, F32Scales::load(block.scales), block.x_scales, sum);
    dot_codes8<4, 8, T>(block, starts + T, dot);
    add_scaled<T>(dot, F32Scales::load(block.scales + F32Scales::kBytes), block.x_scales, sum);
  }
};

template <typename Form>
struct IntegerTile {
  static constexpr size_t kCodesOffset = Form::kUnitBlocks * Form::kScaleBytes;
  static constexpr size_t kUnitBytes = kCodesOffset + Form::kUnitBlocks * Form::kCodeBytes;

  // Block i of a unit; the rows' part of `block` moves on behind it.
  template <int T>
  static GPT2EDGE_INLINE void add_block(const uint8_t* unit, int i, Block& block,
                                        Isa::Floats* sum) {
    block.scales = unit + Form::kScaleBytes * i;
    block.codes = unit + kCodesOffset + Form::kCodeBytes * i;
    Form::template accumulate<T>(block, sum);
    block.x += kBlockInputs * T;
    block.x_scales += T;
    block.sums += 2 * T;
    block.starts8 += T;
    block.starts4 += T;
  }

  template <int T>
  static void run(const MatmulArgs& args, int panel, int row) {
    const PanelLayout& layout = args.weights.layout;
    const uint8_t* unit = args.weights.panels + layout.panel_bytes * panel;
    const int n_blocks = layout.n_in / kBlockInputs;
    const size_t first = static_cast<size_t>(row) * n_blocks;
    const QuantizedRows& rows = args.quantized;
    Block block = {nullptr,
                   nullptr,
                   rows.codes + first * kBlockInputs,
                   rows.scales + first,
                   rows.sums + 2 * first,
                   rows.starts8 + first,
                   rows.starts4 + first};
    Isa::Floats sum[T];
    for (int t = 0; t < T; ++t) sum[t] = Isa::broadcast(0.0f);
    int b = 0;
    for (; b + Form::kUnitBlocks <= n_blocks; b += Form::kUnitBlocks, unit += kUnitBytes) {
      for (int i = 0; i < Form::kUnitBlocks; ++i) add_block<T>(unit, i, block, sum);
    }
    if (b < n_blocks) add_block<T>(unit, 0, block, sum);
    finish<T>(args, row, panel, sum);
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
    case WeightForm::kF32:
      return all_rows<FloatTile<F32Weights>>(args);
    case WeightForm::kF16:
      return all_rows<FloatTile<F16Weights>>(args);
    case WeightForm::kBF16:
      return all_rows<FloatTile<BF16Weights>>(args);
    case WeightForm::kInt8:
      return all_rows<IntegerTile<Int8>>(args);
    case WeightForm::kInt4:
      return all_rows<IntegerTile<Int4>>(args);
    case WeightForm::kInt8Affine:
      return all_rows<IntegerTile<Int8Affine>>(args);
    case WeightForm::kInt8Fine:
      return all_rows<IntegerTile<Int8Fine>>(args);
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
