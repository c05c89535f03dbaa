#include "kernels/isa/avx_vnni.h"

#ifndef GPT2EDGE_TABLE  // the tests compile this file once more, under another name
#define GPT2EDGE_TABLE table_avx_vnni
#define GPT2EDGE_TABLE_NAME "avx_vnni"
#endif
#include "kernels/algorithms/table.inl.h"
