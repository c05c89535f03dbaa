// Levels and scales to the bytes of a block: what formats/*_blocks.cpp reads, the other way.
#include <cstring>

#include "formats/code_tables.h"
#include "quantize/code_grid.h"

namespace gpt2edge {
namespace {

uint8_t byte(int bits) { return static_cast<uint8_t>(bits); }

template <typename Block>
void store(const Block& block, std::byte* out) {
  std::memcpy(out, &block, sizeof block);
}

int table_code(int8_t level) {
  int code = 0;
  while (kIQ4Table[code] != level) ++code;
  return code;
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ4_0& block) {
  block.d = grid.d;
  for (int i = 0; i < 16; ++i) {
    block.qs[i] = byte((levels[i] + 8) | (levels[i + 16] + 8) << 4);
  }
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockIQ4_NL& block) {
  block.d = grid.d;
  for (int i = 0; i < 16; ++i) {
    block.qs[i] = byte(table_code(levels[i]) | table_code(levels[i + 16]) << 4);
  }
}

// Codes of 5 bits: levels from `lowest` on.
template <typename Block>
void pack_5_bits(const int8_t* levels, int lowest, Block& block) {
  uint32_t high = 0;
  for (int i = 0; i < 32; ++i) {
    const auto code = static_cast<uint32_t>(levels[i] - lowest);
    high |= (code >> 4) << i;
  }
  std::memcpy(block.qh, &high, sizeof high);
  for (int i = 0; i < 16; ++i) {
    block.qs[i] = byte(((levels[i] - lowest) & 15) | ((levels[i + 16] - lowest) & 15) << 4);
  }
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ5_0& block) {
  block.d = grid.d;
  pack_5_bits(levels, -16, block);
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ4_1& block) {
  block.d = grid.d;
  block.m = grid.dmin;
  for (int i = 0; i < 16; ++i) block.qs[i] = byte(levels[i] | levels[i + 16] << 4);
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ5_1& block) {
  block.d = grid.d;
  block.m = grid.dmin;
  pack_5_bits(levels, 0, block);
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ8_0& block) {
  block.d = grid.d;
  std::memcpy(block.qs, levels, sizeof block.qs);
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ3_K& block) {
  block = {};
  block.d = grid.d;
  for (int i = 0; i < 256; ++i) {
    const int run = i / 32, n = i % 32, code = levels[i] + 4;
    block.qs[32 * (run / 4) + n] |= byte((code & 3) << (run % 4 * 2));
    block.hmask[n] |= byte((code >> 2) << run);
  }
  for (int k = 0; k < 16; ++k) {
    const int scale = grid.sub_scale[k] + 32;
    block.scales[k % 8] |= byte((scale & 15) << (k / 8 * 4));
    block.scales[8 + k % 4] |= byte((scale >> 4) << (k / 4 * 2));
  }
}

// The 6-bit scales and mins of Q4_K and Q5_K.
void pack_scales(const CodeGrid& grid, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    const int scale = grid.sub_scale[i + 4], min = grid.sub_min[i + 4];
    out[i] = byte(grid.sub_scale[i] | (scale >> 4) << 6);
    out[i + 4] = byte(grid.sub_min[i] | (min >> 4) << 6);
    out[i + 8] = byte((scale & 15) | (min & 15) << 4);
  }
}

template <typename Block>
void pack_k(const CodeGrid& grid, const int8_t* levels, Block& block) {
  block.d = grid.d;
  block.dmin = grid.dmin;
  pack_scales(grid, block.scales);
  for (int i = 0; i < 256; ++i) {
    const int run = i / 32;
    block.qs[32 * (run / 2) + i % 32] |= byte((levels[i] & 15) << (run % 2 * 4));
  }
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ4_K& block) {
  block = {};
  pack_k(grid, levels, block);
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ5_K& block) {
  block = {};
  pack_k(grid, levels, block);
  for (int i = 0; i < 256; ++i) block.qh[i % 32] |= byte((levels[i] >> 4) << (i / 32));
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockQ6_K& block) {
  block = {};
  block.d = grid.d;
  std::memcpy(block.scales, grid.sub_scale, sizeof block.scales);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, run = i / 32 % 4, n = i % 32, code = levels[i] + 32;
    block.ql[64 * half + 32 * (run % 2) + n] |= byte((code & 15) << (run / 2 * 4));
    block.qh[32 * half + n] |= byte((code >> 4) << (2 * run));
  }
}

void pack(const CodeGrid& grid, const int8_t* levels, BlockIQ4_XS& block) {
  block = {};
  block.d = grid.d;
  for (int k = 0; k < 8; ++k) {
    const int scale = grid.sub_scale[k] + 32;
    block.scales_l[k / 2] |= byte((scale & 15) << (k % 2 * 4));
    block.scales_h = static_cast<uint16_t>(block.scales_h | (scale >> 4) << (2 * k));
    const int8_t* part = levels + 32 * k;
    for (int i = 0; i < 16; ++i) {
      block.qs[16 * k + i] = byte(table_code(part[i]) | table_code(part[i + 16]) << 4);
    }
  }
}

template <typename Block>
void pack_as(const CodeGrid& grid, const int8_t* levels, std::byte* out) {
  Block block;
  pack(grid, levels, block);
  store(block, out);
}

}  // namespace

void pack_block(TensorType type, const CodeGrid& grid, const int8_t* levels, std::byte* out) {
  switch (type) {
    case TensorType::Q4_0:
      return pack_as<BlockQ4_0>(grid, levels, out);
    case TensorType::Q4_1:
      return pack_as<BlockQ4_1>(grid, levels, out);
    case TensorType::Q5_0:
      return pack_as<BlockQ5_0>(grid, levels, out);
    case TensorType::Q5_1:
      return pack_as<BlockQ5_1>(grid, levels, out);
    case TensorType::Q8_0:
      return pack_as<BlockQ8_0>(grid, levels, out);
    case TensorType::Q3_K:
      return pack_as<BlockQ3_K>(grid, levels, out);
    case TensorType::Q4_K:
      return pack_as<BlockQ4_K>(grid, levels, out);
    case TensorType::Q5_K:
      return pack_as<BlockQ5_K>(grid, levels, out);
    case TensorType::Q6_K:
      return pack_as<BlockQ6_K>(grid, levels, out);
    case TensorType::IQ4_NL:
      return pack_as<BlockIQ4_NL>(grid, levels, out);
    case TensorType::IQ4_XS:
      return pack_as<BlockIQ4_XS>(grid, levels, out);
    default:
      return;  // no code set: quantize.cpp does not come here
  }
}

}  // namespace gpt2edge
