// What packing and unpacking share: properties of the forms, and where a block is in a panel.
#pragma once

#include "kernels/panel.h"

namespace gpt2edge::kernels {

// Of 256 numbers that have half floats in common, and bytes of their own.
inline bool is_super(WeightForm form) {
  return form == WeightForm::kInt4Super || form == WeightForm::kInt6Super ||
         form == WeightForm::kInt3Super || form == WeightForm::kInt2Super;
}

inline bool has_codes8(WeightForm form) {
  return form == WeightForm::kInt8 || form == WeightForm::kInt8Affine;
}

inline bool has_minima(WeightForm form) {
  return form == WeightForm::kInt8Affine || form == WeightForm::kInt4Super ||
         form == WeightForm::kInt2Super;
}

inline bool has_table(WeightForm form) {
  return form == WeightForm::kTable4 || form == WeightForm::kTable4Super ||
         form == WeightForm::kTable4Halves;
}

// What is added to codes of less than eight bits so that none is negative.
inline int code_offset(WeightForm form) {
  switch (form) {
    case WeightForm::kInt3Super:
      return 4;
    case WeightForm::kInt4:
      return 8;
    case WeightForm::kInt6Super:
      return 32;
    default:
      return 0;
  }
}

// The offsets of a block in its panel.
struct BlockPlace {
  BlockPlace(const PanelLayout& layout, int b)
      : unit(layout.unit_bytes * static_cast<size_t>(b / layout.unit_blocks)) {
    const auto i = static_cast<size_t>(b % layout.unit_blocks);
    scales = unit + layout.scales_offset + layout.scales_bytes * i;
    codes = unit + layout.codes_offset + layout.code_bytes * i;
  }

  size_t unit, scales, codes;
};

}  // namespace gpt2edge::kernels
