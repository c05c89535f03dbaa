// A Python function that changes logits, called from threads that do not hold the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <stdexcept>

#include "generate/sampling/sampler_options.h"

namespace gpt2edge::python {

// A Python object that may be copied and let go of without the GIL.
using SharedObject = std::shared_ptr<pybind11::object>;
SharedObject share(pybind11::object object);

// An exception that Python code raised in the core. It may be thrown more than once.
class PythonError : public std::runtime_error {
 public:
  explicit PythonError(const pybind11::error_already_set& error);
  void raise() const;

 private:
  SharedObject value_;
};

// None gives none. Raises TypeError for what cannot be called.
LogitsProcessor python_processor(pybind11::handle function);
// The function that was given, or None.
pybind11::object python_function(const LogitsProcessor& processor);

}  // namespace gpt2edge::python
