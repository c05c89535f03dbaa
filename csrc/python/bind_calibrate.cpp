// InputStatistics: what goes into a model's matrices while it reads.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <vector>

#include "calibrate/input_statistics.h"
#include "generate/sequence.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

// Statistics of one model, fed with tokens.
class Calibration {
 public:
  Calibration(std::shared_ptr<Model> model, bool with_products)
      : model_(std::move(model)), statistics_(*model_, with_products) {}

  // Reads tokens from the model's first position on.
  void read(const std::vector<int32_t>& tokens) {
    const py::gil_scoped_release unlocked;
    Sequence sequence(model_, static_cast<int>(tokens.size()), kernels::CacheType::kF32);
    const Model::Observation observed(*model_, statistics_);
    const Sequence::Part part{&sequence, tokens, 0};
    Sequence::append({&part, 1}, check_signals());
  }

  const std::vector<InputStatistics::Inputs>& inputs() const { return statistics_.inputs(); }

 private:
  std::shared_ptr<Model> model_;
  InputStatistics statistics_;
};

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

  py::class_<Calibration>(m, "InputStatistics")
      .def(py::init<std::shared_ptr<Model>, bool>(), py::arg("model"), py::arg("with_products"))
      .def("read", &Calibration::read, py::arg("tokens"))
      .def_property_readonly("inputs", &Calibration::inputs,
                             py::return_value_policy::reference_internal);
}

}  // namespace gpt2edge::python
