#include "kernels/isa/neon.h"

#define GPT2EDGE_TABLE table_neon
#define GPT2EDGE_TABLE_NAME "neon"
#include "kernels/algorithms/table.inl.h"
