// Picks the kernels for this processor.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/kernel_table.h"

namespace gpt2edge::kernels {

// The tables this processor can run, best first; the last is "scalar".
const std::vector<const KernelTable*>& available_tables();

// The table of that name. Throws std::invalid_argument, naming the choices, if there is none.
const KernelTable& table_named(std::string_view name);

// The best table, or the one that the environment variable GPT2EDGE_ISA names.
const KernelTable& default_table();

}  // namespace gpt2edge::kernels
