// A constraint that a Python object computes: pygpt2edge/constrain/constraint.py.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "generate/constraint.h"

namespace gpt2edge::python {

// None gives none.
std::unique_ptr<Constraint> python_constraint(pybind11::object object);

// Calls a Python function with the bytes, the prompt and the tokens.
MakeConstraint python_constraint_maker(pybind11::object make);

}  // namespace gpt2edge::python
