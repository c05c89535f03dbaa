#include "python/logits_processor.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

class Processor {
 public:
  explicit Processor(py::object function) : function_(share(std::move(function))) {}

  // The array is Python's own, and its numbers are copied back: the function may keep it.
  void operator()(std::span<float> logits, std::span<const int32_t> text) const {
    const py::gil_scoped_acquire gil;
    const py::array_t<float> row(static_cast<py::ssize_t>(logits.size()), logits.data());
    const py::array_t<int32_t> tokens(static_cast<py::ssize_t>(text.size()), text.data());
    call(row, tokens);
    if (row.size() != static_cast<py::ssize_t>(logits.size())) {
      throw py::value_error(message("logits_processor resized the logits to ", row.size(),
                                    ", expected ", logits.size()));
    }
    std::copy_n(row.data(), logits.size(), logits.begin());
  }

  const py::object& function() const { return *function_; }

 private:
  void call(const py::array& row, const py::array& tokens) const {
    try {
      const py::object result = (*function_)(row, tokens);
      if (result.is_none()) return;
      throw py::type_error(
          "logits_processor returned something: it is to change the logits in place and return "
          "None");
    } catch (const py::error_already_set& error) {
      throw PythonError(error);
    }
  }

  SharedObject function_;
};

}  // namespace

SharedObject share(py::object object) {
  return {new py::object(std::move(object)), [](py::object* last) {
            const py::gil_scoped_acquire gil;
            delete last;
          }};
}

PythonError::PythonError(const py::error_already_set& error)
    : std::runtime_error("an exception was raised by Python code"), value_(share(error.value())) {
  if (error.trace()) PyException_SetTraceback(value_->ptr(), error.trace().ptr());
}

void PythonError::raise() const { py::set_error(py::type::of(*value_), *value_); }

LogitsProcessor python_processor(py::handle function) {
  if (function.is_none()) return nullptr;
  if (PyCallable_Check(function.ptr()) == 0) throw py::cast_error("no function");
  return Processor(py::reinterpret_borrow<py::object>(function));
}

py::object python_function(const LogitsProcessor& processor) {
  const auto* found = processor.target<Processor>();
  return found == nullptr ? py::none() : found->function();
}

}  // namespace gpt2edge::python
