#include <algorithm>

#include "kernels/panel.h"

#include "formats/code_tables.h"
#include "kernels/panel_forms.h"

namespace gpt2edge::kernels {
namespace {

size_t code_bits(WeightForm form) {
  switch (form) {
    case WeightForm::kInt2Super:
      return 2;
    case WeightForm::kInt3Super:
      return 3;
    case WeightForm::kInt6Super:
      return 6;
    default:
      return has_codes8(form) ? 8 : 4;
  }
}

// How a form's panels are laid out, but for the table.
PanelLayout layout_of(WeightForm form, int n_in) {
  PanelLayout layout{};
  layout.form = form;
  layout.n_in = n_in;
  const auto inputs = static_cast<size_t>(n_in);
  if (is_float(form)) {
    layout.panel_bytes = inputs * kPanelRows * (form == WeightForm::kF32 ? 4 : 2);
    return layout;
  }
  layout.unit_blocks = 2;
  layout.scales_bytes = 32;
  layout.code_bytes = 2 * code_bits(form) * kBlockInputs;
  if (form == WeightForm::kInt8Affine || form == WeightForm::kTable4Halves) {
    layout.unit_blocks = 1;
    layout.scales_bytes = 128;
  } else if (is_super(form) || form == WeightForm::kTable4Super) {
    layout.unit_blocks = 8;
    layout.scales_offset = 64;
    if (form == WeightForm::kInt2Super) layout.scales_bytes = 64;
    if (form == WeightForm::kTable4Super) layout.scales_bytes = 16;
  }
  const auto unit_blocks = static_cast<size_t>(layout.unit_blocks);
  layout.codes_offset = layout.scales_offset + layout.scales_bytes * unit_blocks;
  layout.unit_bytes = layout.codes_offset + layout.code_bytes * unit_blocks;
  // The last unit of an odd number of blocks is filled up with zeros.
  const int n_units = (n_in / kBlockInputs + layout.unit_blocks - 1) / layout.unit_blocks;
  layout.panel_bytes = layout.unit_bytes * static_cast<size_t>(n_units);
  return layout;
}

}  // namespace

bool is_float(WeightForm form) {
  return form == WeightForm::kF32 || form == WeightForm::kF16 || form == WeightForm::kBF16;
}

WeightForm form_of(TensorType type) {
  switch (type) {
    case TensorType::F32:
      return WeightForm::kF32;
    case TensorType::F16:
      return WeightForm::kF16;
    case TensorType::BF16:
      return WeightForm::kBF16;
    case TensorType::Q8_0:
    case TensorType::Q5_0:
      return WeightForm::kInt8;
    case TensorType::Q4_0:
    case TensorType::TQ1_0:
    case TensorType::TQ2_0:
    case TensorType::Q1_0:
    case TensorType::Q2_0:
      return WeightForm::kInt4;
    case TensorType::Q4_1:
    case TensorType::Q5_1:
    case TensorType::Q5_K:
      return WeightForm::kInt8Affine;
    case TensorType::Q4_K:
      return WeightForm::kInt4Super;
    case TensorType::Q6_K:
      return WeightForm::kInt6Super;
    case TensorType::Q3_K:
      return WeightForm::kInt3Super;
    case TensorType::Q2_K:
      return WeightForm::kInt2Super;
    case TensorType::IQ4_NL:
      return WeightForm::kTable4;
    case TensorType::IQ4_XS:
    case TensorType::IQ3_S:
    case TensorType::IQ3_XXS:
    case TensorType::IQ2_XXS:
    case TensorType::IQ1_S:
      return WeightForm::kTable4Super;
    case TensorType::IQ2_XS:
    case TensorType::IQ2_S:
    case TensorType::IQ1_M:
    case TensorType::MXFP4:
    case TensorType::NVFP4:
      return WeightForm::kTable4Halves;
  }
  return WeightForm::kF32;
}

int panel_count(int n_out) { return (n_out + kPanelRows - 1) / kPanelRows; }

PanelLayout panel_layout(TensorType type, int n_in) {
  PanelLayout layout = layout_of(form_of(type), n_in);
  layout.table = has_table(layout.form) ? code_table(type) : nullptr;
  return layout;
}

size_t matmul_scratch(int n_in) {
  const auto n_blocks = static_cast<size_t>(n_in / kBlockInputs);
  // the last unit may be filled up
  return std::max(kPairsScratchBytes, kBlockPanels * kUnpackedBlockBytes * (n_blocks + 1));
}

}  // namespace gpt2edge::kernels
