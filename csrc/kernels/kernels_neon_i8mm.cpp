#include "kernels/isa/neon_i8mm.h"

#define GPT2EDGE_TABLE table_neon_i8mm
#define GPT2EDGE_TABLE_NAME "neon_i8mm"
#include "kernels/algorithms/table.inl.h"
