// What the binding files share. Only this folder knows Python.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "model/model.h"

namespace gpt2edge::python {

// One noun each: bind_<noun>.cpp.
void bind_formats(pybind11::module_& m);
void bind_checksum(pybind11::module_& m);
void bind_generate(pybind11::module_& m);
void bind_machine(pybind11::module_& m);
void bind_model(pybind11::module_& m);
void bind_suggest(pybind11::module_& m);
void bind_unicode(pybind11::module_& m);

// Lets Python handle Ctrl-C during a long pass.
Interrupt check_signals();

// By its name. Throws ValueError for one that is none.
kernels::CacheType cache_type(const std::string& name);

}  // namespace gpt2edge::python
