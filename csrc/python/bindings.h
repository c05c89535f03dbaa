// What the binding files share. Only this folder knows Python.
#pragma once

#include <pybind11/pybind11.h>

namespace gpt2edge::python {

// One noun each: bind_<noun>.cpp.
void bind_formats(pybind11::module_& m);
void bind_checksum(pybind11::module_& m);
void bind_generate(pybind11::module_& m);
void bind_machine(pybind11::module_& m);
void bind_model(pybind11::module_& m);

}  // namespace gpt2edge::python
