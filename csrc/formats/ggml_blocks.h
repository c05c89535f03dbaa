// The number types of GGUF tensors and their blocks, byte for byte as ggml lays them out in a file.
//
// Kernel sources include this header: plain structs and declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gpt2edge {

// Values are ggml's type ids.
enum class TensorType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  BF16 = 30,
};

// Half floats (`d`, `m`, `dmin`) are stored as their bits.

struct BlockQ4_0 {  // 32 numbers: d * (code - 8)
  uint16_t d;
  uint8_t qs[16];  // low halves: numbers 0..15, high halves: 16..31
};

struct BlockQ4_1 {  // 32 numbers: d * code + m
  uint16_t d, m;
  uint8_t qs[16];
};

struct BlockQ5_0 {  // 32 numbers: d * (code - 16)
  uint16_t d;
  uint8_t qh[4];  // the fifth bit of each code
  uint8_t qs[16];
};

struct BlockQ5_1 {  // 32 numbers: d * code + m
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};

struct BlockQ8_0 {  // 32 numbers: d * code
  uint16_t d;
  int8_t qs[32];
};

// 256 numbers in 8 sub-blocks of 32: d * scale * code - dmin * min, scale and min of 6 bits each.
struct BlockQ4_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};

struct BlockQ5_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};

// 256 numbers in 16 sub-blocks of 16: d * scale * (code - 32).
struct BlockQ6_K {
  uint8_t ql[128];  // the low 4 bits
  uint8_t qh[64];   // the high 2 bits
  int8_t scales[16];
  uint16_t d;
};

static_assert(sizeof(BlockQ4_0) == 18);
static_assert(sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ8_0) == 34);
static_assert(sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176);
static_assert(sizeof(BlockQ6_K) == 210);

struct TypeTraits {
  const char* name;
  int block_size;   // numbers in a block
  int block_bytes;  // bytes of a block
};

// Null for a type this program does not read.
const TypeTraits* type_traits(uint32_t type_id);

// Bytes of a row of n_in numbers, n_in a multiple of the block size.
size_t row_bytes(TensorType type, size_t n_in);

}  // namespace gpt2edge
