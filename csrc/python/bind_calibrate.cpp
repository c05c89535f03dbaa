// CalibrationStage: what goes into the matrices of some layers while texts pass through them.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "calibrate/stage.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

using Residuals = py::array_t<float, py::array::c_style>;

void read_stage(CalibrationStage& stage, const std::vector<int32_t>& tokens, Residuals& residuals) {
  const std::span<float> floats(residuals.mutable_data(), static_cast<size_t>(residuals.size()));
  const py::gil_scoped_release unlocked;
  stage.read(tokens, floats, check_signals());
}

std::unique_ptr<CalibrationStage> make_stage(const std::string& path, int n_threads, int first,
                                             int last, bool with_products) {
  const py::gil_scoped_release unlocked;
  return std::make_unique<CalibrationStage>(path, n_threads, LayerRange{first, last},
                                            with_products);
}

py::array_t<float> vector_of(const std::vector<float>& values) {
  return py::array_t<float>(static_cast<py::ssize_t>(values.size()), values.data());
}

// The whole matrix of products, or None.
py::object products_of(const InputStatistics::Inputs& inputs) {
  if (inputs.products.empty()) return py::none();
  const py::ssize_t n = inputs.n_in;
  py::array_t<float> out({n, n});
  auto to = out.mutable_unchecked<2>();
  const float* from = inputs.products.data();
  for (py::ssize_t i = 0; i < n; ++i) {
    for (py::ssize_t j = i; j < n; ++j) to(i, j) = to(j, i) = from[i * n + j];
  }
  return out;
}

}  // namespace

void bind_calibrate(py::module_& m) {
  using Inputs = InputStatistics::Inputs;
  py::class_<Inputs>(m, "MatrixInputs")
      .def_readonly("name", &Inputs::name)
      .def_readonly("count", &Inputs::count)
      .def_property_readonly("sums", [](const Inputs& x) { return vector_of(x.sums); })
      .def_property_readonly("squares", [](const Inputs& x) { return vector_of(x.squares); })
      .def("products", &products_of);

  py::class_<CalibrationStage>(m, "CalibrationStage")
      .def(py::init(&make_stage), py::arg("path"), py::arg("n_threads"), py::arg("first_layer"),
           py::arg("end_layer"), py::arg("with_products"))
      .def("read", &read_stage, py::arg("tokens"), py::arg("residuals").noconvert())
      .def_property_readonly(
          "inputs",
          [](const CalibrationStage& stage) -> const auto& { return stage.statistics().inputs(); },
          py::return_value_policy::reference_internal);

  m.def("calibration_memory", &calibration_memory, py::arg("path"), py::arg("n_threads"),
        py::arg("with_products"));
}

}  // namespace gpt2edge::python
