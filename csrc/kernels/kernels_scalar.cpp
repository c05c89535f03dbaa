#include "kernels/isa/scalar.h"

#define GPT2EDGE_TABLE table_scalar
#define GPT2EDGE_TABLE_NAME "scalar"
#include "kernels/algorithms/table.inl.h"
