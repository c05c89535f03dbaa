#include "kernels/isa/avx512_vnni.h"

#define GPT2EDGE_TABLE table_avx512_vnni
#define GPT2EDGE_TABLE_NAME "avx512_vnni"
#include "kernels/algorithms/table.inl.h"
