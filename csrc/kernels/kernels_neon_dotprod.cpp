#include "kernels/isa/neon_dotprod.h"

#define GPT2EDGE_TABLE table_neon_dotprod
#define GPT2EDGE_TABLE_NAME "neon_dotprod"
#include "kernels/algorithms/table.inl.h"
