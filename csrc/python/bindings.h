// What the binding files share. Only this folder knows Python.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "generate/sampling/logprobs.h"
#include "generate/window.h"
#include "model/model.h"

namespace gpt2edge::python {

// From any sequence of integers; a list needs no numpy, whose import takes a tenth of a second.
using Tokens = std::vector<int32_t>;

// Lets Python handle Ctrl-C during a long pass. Taking the GIL costs, so it looks at the clock
// first.
Interrupt check_signals();

// By their names: "int8", "int16", "f16", "f32". Raises ValueError for another.
kernels::CacheType cache_type(const std::string& name);

// The log-probability of a token, and the most likely tokens with theirs.
using TopOfRow = std::pair<float, std::vector<std::pair<int32_t, float>>>;
TopOfRow top_of_row(const TopLogprobs& found);
TopOfRow top_logprobs(const Logits& logits, int32_t chosen, int n_top);

// What returns arrays calls it. Raises MissingDependencyError where numpy was left out.
void require_numpy();

// One noun each: bind_<noun>.cpp.
void bind_formats(pybind11::module_& m);
void bind_calibrate(pybind11::module_& m);
void bind_checksum(pybind11::module_& m);
void bind_compress(pybind11::module_& m);
void bind_generate(pybind11::module_& m);
void bind_machine(pybind11::module_& m);
void bind_model(pybind11::module_& m);
void bind_states(pybind11::module_& m);
void bind_suggest(pybind11::module_& m);
void bind_text(pybind11::module_& m);
void bind_tokenizer(pybind11::module_& m);
void bind_unicode(pybind11::module_& m);

}  // namespace gpt2edge::python
