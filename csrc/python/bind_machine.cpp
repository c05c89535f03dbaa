// The processor: what it has, and what it can do at most.
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "base/cpu_info.h"
#include "base/thread_count.h"
#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "kernels/limits.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

py::dict cpu_dict() {
  const CpuFeatures& f = cpu_features();
  py::dict features;
  features["avx2"] = f.avx2;
  features["avx_vnni"] = f.avx_vnni;
  features["avx512_vnni"] = f.avx512_vnni;
  features["neon"] = f.neon;
  features["dotprod"] = f.dotprod;
  features["i8mm"] = f.i8mm;
  std::vector<std::string> isas;
  for (const auto* table : kernels::available_tables()) isas.emplace_back(table->name);
  py::dict out;
  out["name"] = cpu_name();
  out["features"] = features;
  out["isas"] = isas;
  out["n_threads"] = default_thread_count();
  return out;
}

py::dict measure_limits(int n_threads) {
  kernels::MachineLimits limits;
  {
    const py::gil_scoped_release unlocked;
    ThreadPool pool(checked_thread_count(n_threads));
    limits = kernels::measure_limits(kernels::default_table(), pool);
  }
  py::dict out;
  out["read_gb_s"] = limits.read_gb_s;
  out["int8_gmac_s"] = limits.int8_gmac_s;
  out["barrier_us"] = limits.barrier_us;
  return out;
}

}  // namespace

void bind_machine(py::module_& m) {
  m.def("cpu", &cpu_dict);
  m.def("measure_limits", &measure_limits, py::arg("n_threads") = 0);
}

}  // namespace gpt2edge::python
