// Options that come as keywords.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "generate/sampling/sampler_options.h"
#include "python/logits_processor.h"

namespace gpt2edge::python {

using Biases = std::vector<std::pair<int32_t, float>>;

// What Python has for the value of an option, and the other way round.
template <typename T>
const T& to_python(const T& value) {
  return value;
}
inline std::map<int32_t, float> to_python(const Biases& biases) {
  return {biases.begin(), biases.end()};
}

template <typename T>
void from_python(pybind11::handle object, T& value) {
  value = object.cast<T>();
}
inline void from_python(pybind11::handle object, Biases& biases) {
  const auto map = object.cast<std::map<int32_t, float>>();
  biases.assign(map.begin(), map.end());
}
inline void from_python(pybind11::handle object, LogitsProcessor& processor) {
  processor = python_processor(object);
}

// The keywords of a call, of which each is taken once.
class Keywords {
 public:
  explicit Keywords(pybind11::dict named) : named_(std::move(named)) {}

  // Leaves the value as it is where the keyword is not there. Raises TypeError for another type.
  template <typename T>
  void take(const char* name, T& value) {
    if (!named_.contains(name)) return;
    const pybind11::object object = named_.attr("pop")(name);
    try {
      from_python(object, value);
    } catch (const pybind11::cast_error&) {
      const auto text = pybind11::repr(object).cast<std::string>();
      throw pybind11::type_error(message(name, " is ", text,
                                         ", which is of the wrong type, or "
                                         "too large"));
    }
  }

  // Raises TypeError for a keyword that nobody took.
  void check_all_taken() const {
    for (const auto& [name, value] : named_) {
      throw pybind11::type_error("there is no option " + pybind11::repr(name).cast<std::string>());
    }
  }

 private:
  pybind11::dict named_;
};

inline void take_sampler_options(Keywords& keywords, SamplerOptions& options) {
  each_sampler_option([&](const char* name, auto field) { keywords.take(name, options.*field); });
  keywords.take("logits_processor", options.logits_processor);
}

}  // namespace gpt2edge::python
