// Panels of 4-bit codes as panels of the 8-bit codes that they stand for.
//
// Unpacking takes as long as a row or two of the matmul: where rows are many, it is better done
// once than for every tile of them.
#pragma once

#include <string.h>

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {
namespace {

// A unit of either form is two blocks: their scales, then their codes, which in form kInt4 take
// kHalf bytes a block.
constexpr int kScales = 64, kBlocks = 2, kHalf = 256;

// Of a matrix of form kInt4, once unpacked.
size_t unpacked_panel_bytes(const PackedMatrix& matrix) {
  return matrix.layout.panel_bytes / (kScales + kBlocks * kHalf) * (kScales + 2 * kBlocks * kHalf);
}

// Panel `panel` of a matrix of form kInt4, in the form kInt8.
void unpack_codes4(const PackedMatrix& matrix, int panel, uint8_t* out) {
  const uint8_t* in = matrix.panels + matrix.layout.panel_bytes * panel;
  const uint8_t* end = in + matrix.layout.panel_bytes;
  // 0..15 stand for -8..7.
  const auto shift = static_cast<uint8_t>(matrix.code_bias - 8);
  while (in < end) {
    memcpy(out, in, kScales);
    in += kScales;
    out += kScales;
    for (int b = 0; b < kBlocks; ++b, in += kHalf, out += 2 * kHalf) {
      for (int i = 0; i < kHalf; ++i) {
        out[i] = static_cast<uint8_t>((in[i] & 15) + shift);
        out[kHalf + i] = static_cast<uint8_t>((in[i] >> 4) + shift);
      }
    }
  }
}

}  // namespace
}  // namespace gpt2edge::kernels
