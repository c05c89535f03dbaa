#include "formats/code_tables.h"

namespace gpt2edge {
namespace {

constexpr int8_t kIQ2Table[kTableCodes] = {8, 25, 43, -8, -25, -43};
constexpr int8_t kIQ3XXSTable[kTableCodes] = {4,  12,  20,  28,  36,  44,  52,  62,
                                              -4, -12, -20, -28, -36, -44, -52, -62};
constexpr int8_t kIQ3STable[kTableCodes] = {1,  3,  5,  7,  9,  11,  13,  15,
                                            -1, -3, -5, -7, -9, -11, -13, -15};
constexpr int8_t kIQ1Table[kTableCodes] = {-9, -7, -1, 1, 7, 9};

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
