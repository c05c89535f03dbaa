#include "kernels/dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "base/cpu_info.h"
#include "base/error.h"

namespace gpt2edge::kernels {

// Each is the one symbol of its kernels_<name>.cpp.
extern const KernelTable table_scalar;
#if GPT2EDGE_HAS_avx2
extern const KernelTable table_avx2;
#endif
#if GPT2EDGE_HAS_avx_vnni
extern const KernelTable table_avx_vnni;
#endif
#if GPT2EDGE_HAS_avx512_vnni
extern const KernelTable table_avx512_vnni;
#endif
#if GPT2EDGE_HAS_neon
extern const KernelTable table_neon;
#endif
#if GPT2EDGE_HAS_neon_dotprod
extern const KernelTable table_neon_dotprod;
#endif
#if GPT2EDGE_HAS_neon_i8mm
extern const KernelTable table_neon_i8mm;
#endif

const std::vector<const KernelTable*>& available_tables() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found;
    [[maybe_unused]] const CpuFeatures& cpu = cpu_features();
#if GPT2EDGE_HAS_avx512_vnni
    if (cpu.avx512_vnni) found.push_back(&table_avx512_vnni);
#endif
#if GPT2EDGE_HAS_avx_vnni
    if (cpu.avx_vnni) found.push_back(&table_avx_vnni);
#endif
#if GPT2EDGE_HAS_avx2
    if (cpu.avx2) found.push_back(&table_avx2);
#endif
#if GPT2EDGE_HAS_neon_i8mm
    if (cpu.i8mm && cpu.dotprod) found.push_back(&table_neon_i8mm);
#endif
#if GPT2EDGE_HAS_neon_dotprod
    if (cpu.dotprod) found.push_back(&table_neon_dotprod);
#endif
#if GPT2EDGE_HAS_neon
    if (cpu.neon) found.push_back(&table_neon);
#endif
    found.push_back(&table_scalar);
    return found;
  }();
  return tables;
}

const KernelTable& table_named(std::string_view name) {
  std::string choices;
  for (const KernelTable* table : available_tables()) {
    if (name == table->name) return *table;
    choices += (choices.empty() ? "" : ", ") + std::string(table->name);
  }
  throw std::invalid_argument(message("no kernels named \"", name,
                                      "\" for this processor (GPT2EDGE_ISA): choose one of ",
                                      choices));
}

const KernelTable& default_table() {
  const char* forced = std::getenv("GPT2EDGE_ISA");
  if (forced != nullptr && *forced != '\0') return table_named(forced);
  return *available_tables().front();
}

}  // namespace gpt2edge::kernels
