#include "formats/code_tables.h"

namespace gpt2edge {
namespace {

// Floats of four bits, E2M1, times two.
constexpr int8_t kFP4Table[kTableCodes] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Magnitudes of 2 or 3 bits, then the same with the sign bit set.
constexpr int8_t kIQ2Table[kTableCodes] = {8, 25, 43, 0, -8, -25, -43, 0};
constexpr int8_t kIQ3XXSTable[kTableCodes] = {4,  12,  20,  28,  36,  44,  52,  62,
                                              -4, -12, -20, -28, -36, -44, -52, -62};
constexpr int8_t kIQ3STable[kTableCodes] = {1,  3,  5,  7,  9,  11,  13,  15,
                                            -1, -3, -5, -7, -9, -11, -13, -15};

// Eight times -1, 0 and 1, plus 1 and then minus 1: what delta, 1/8 or -1/8, adds to them.
constexpr int8_t kIQ1Table[kTableCodes] = {-7, 1, 9, 0, -9, -1, 7, 0};

}  // namespace

const int8_t* code_table(TensorType type) {
  switch (type) {
    case TensorType::IQ4_NL:
    case TensorType::IQ4_XS:
      return kIQ4Table;
    case TensorType::MXFP4:
    case TensorType::NVFP4:
      return kFP4Table;
    case TensorType::IQ3_XXS:
      return kIQ3XXSTable;
    case TensorType::IQ3_S:
      return kIQ3STable;
    case TensorType::IQ2_XXS:
    case TensorType::IQ2_XS:
    case TensorType::IQ2_S:
      return kIQ2Table;
    case TensorType::IQ1_S:
    case TensorType::IQ1_M:
      return kIQ1Table;
    default:
      return nullptr;
  }
}

}  // namespace gpt2edge
