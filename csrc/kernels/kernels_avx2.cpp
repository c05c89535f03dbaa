#include "kernels/isa/avx2.h"

#define GPT2EDGE_TABLE table_avx2
#define GPT2EDGE_TABLE_NAME "avx2"
#include "kernels/algorithms/table.inl.h"
