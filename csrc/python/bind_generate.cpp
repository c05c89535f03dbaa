// What stands between logits and text: sampler, stop matcher, log-probabilities, vocabulary.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "formats/tokenizer_tables.h"
#include "generate/sampling/logprobs.h"
#include "generate/sampling/noise.h"
#include "generate/sampling/random.h"
#include "generate/sampling/sampler.h"
#include "generate/stop_matcher.h"
#include "python/bindings.h"
#include "python/options.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

using LogitsArray = py::array_t<float, py::array::c_style>;

std::span<const float> view(const LogitsArray& logits) {
  if (logits.ndim() != 1) throw py::value_error("logits must be one row of float32");
  return {logits.data(), static_cast<size_t>(logits.size())};
}

std::unique_ptr<Sampler> make_sampler(const py::kwargs& named) {
  Keywords keywords(named);
  SamplerOptions options;
  std::shared_ptr<TokenizerTables> tables;
  take_sampler_options(keywords, options);
  keywords.take("end_tokens", options.end_tokens);
  keywords.take("tables", tables);
  keywords.check_all_taken();
  return std::make_unique<Sampler>(std::move(options), std::move(tables));
}

// The GIL stays held: a call takes microseconds, and so two threads cannot meet inside one sampler.
void bind_sampler(py::module_& m) {
  py::class_<Sampler>(m, "Sampler")
      .def(py::init(&make_sampler))
      .def(
          "sample", [](Sampler& s, const LogitsArray& logits) { return s.sample({view(logits)}); },
          py::arg("logits").noconvert())
      .def("accept_prompt", &Sampler::accept_prompt, py::arg("token"))
      .def("accept", &Sampler::accept, py::arg("token"))
      .def("reset", &Sampler::reset)
      .def("copy", [](const Sampler& sampler) { return Sampler(sampler); })
      .def_property("draw_index", &Sampler::draw_index, &Sampler::set_draw_index);

  m.def("random_uniform", &random_uniform, py::arg("seed"), py::arg("draw"), py::arg("stream"));
  m.def(
      "token_noise",
      [](uint64_t seed, uint64_t draw, int32_t token) {
        if (token < 0) throw std::invalid_argument(message("token is negative: ", token));
        const Noise noise(seed, draw);
        return noise.of(token, noise.least_beside(token));
      },
      py::arg("seed"), py::arg("draw"), py::arg("token"));
}

std::vector<std::string> as_strings(const std::vector<py::bytes>& list) {
  return {list.begin(), list.end()};
}

void bind_stop_matcher(py::module_& m) {
  py::class_<StopMatcher>(m, "StopMatcher")
      .def(py::init([](const std::vector<py::bytes>& stops) {
             return std::make_unique<StopMatcher>(as_strings(stops));
           }),
           py::arg("stops"))
      .def(
          "push",
          [](StopMatcher& matcher, const py::bytes& piece, bool can_stop) {
            return py::bytes(matcher.push(std::string_view(piece), can_stop));
          },
          py::arg("piece"), py::arg("can_stop") = true)
      .def("finish", [](StopMatcher& matcher) { return py::bytes(matcher.finish()); })
      .def_property_readonly("stopped", &StopMatcher::stopped)
      .def_property_readonly("stop_string", [](const StopMatcher& matcher) -> py::object {
        const auto stop = matcher.stop_string();
        return stop ? py::object(py::bytes(*stop)) : py::none();
      });
}

}  // namespace

TopOfRow top_of_row(const TopLogprobs& found) {
  std::vector<std::pair<int32_t, float>> top;
  for (const TokenLogprob& t : found.top) top.emplace_back(t.token, t.logprob);
  return {found.chosen, std::move(top)};
}

TopOfRow top_logprobs(const Logits& logits, int32_t chosen, int n_top) {
  return top_of_row(log_softmax_top(logits.all, chosen, n_top));
}

void bind_generate(py::module_& m) {
  bind_sampler(m);
  bind_stop_matcher(m);
  m.def(
      "top_logprobs",
      [](const LogitsArray& logits, int32_t chosen, int n_top) {
        return top_logprobs({view(logits)}, chosen, n_top);
      },
      py::arg("logits").noconvert(), py::arg("chosen"), py::arg("n_top"));
}

}  // namespace gpt2edge::python
