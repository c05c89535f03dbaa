// Builds a kernel table from the SIMD primitives of an instruction set (isa/*.h). Included last by
// each kernels_<isa>.cpp, which names the table; everything but the table itself has internal
// linkage, so that no code compiled for a wide instruction set can be linked into another file.
#include "kernels/algorithms/append.inl.h"
#include "kernels/algorithms/attention.inl.h"
#include "kernels/algorithms/elementary.inl.h"
#include "kernels/algorithms/layer_norm.inl.h"
#include "kernels/algorithms/limits.inl.h"
#include "kernels/algorithms/matmul.inl.h"
#include "kernels/algorithms/quantize_rows.inl.h"
#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {

static_assert(Isa::kMaxTokens <= kMaxTile);

extern const KernelTable GPT2EDGE_TABLE;
const KernelTable GPT2EDGE_TABLE = {
    GPT2EDGE_TABLE_NAME, Isa::kCodeBias, Isa::kMaxTokens, matmul,
    quantize_tile,       layer_norm,     append,          attention,
    64 * kPeakDots,      multiply_codes, sum_floats,
};

}  // namespace gpt2edge::kernels
