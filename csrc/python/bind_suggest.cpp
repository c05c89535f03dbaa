// Suggester: the next words of a text.
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "generate/words/suggester.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

std::unique_ptr<Suggester> make_suggester(std::shared_ptr<Model> model,
                                          std::shared_ptr<Tokenizer> tokenizer, int n_ctx,
                                          const std::string& kv_type, int64_t max_passes) {
  const kernels::CacheType type = cache_type(kv_type);
  const py::gil_scoped_release unlocked;
  return std::make_unique<Suggester>(std::move(model), std::move(tokenizer), n_ctx, type,
                                     max_passes);
}

// (word, completion, probability) of each
std::vector<std::tuple<std::string, std::string, double>> suggest(Suggester& suggester,
                                                                  const std::string& text,
                                                                  int64_t k) {
  const py::gil_scoped_release unlocked;
  std::vector<std::tuple<std::string, std::string, double>> found;
  for (WordSuggestion& word : suggester.suggest(text, k, check_signals())) {
    found.emplace_back(std::move(word.word), std::move(word.completion), word.probability);
  }
  return found;
}

void clear(Suggester& suggester) {
  const py::gil_scoped_release unlocked;
  suggester.clear(check_signals());
}

}  // namespace

void bind_suggest(py::module_& m) {
  py::class_<Suggester>(m, "Suggester")
      .def_static("usual_passes", [] { return Suggester::kUsualPasses; })
      .def(py::init(&make_suggester), py::arg("model").none(false),
           py::arg("tokenizer").none(false), py::arg("n_ctx"), py::arg("kv_type"),
           py::arg("max_passes"))
      .def("suggest", &suggest, py::arg("text"), py::arg("k"))
      .def("clear", &clear);
}

}  // namespace gpt2edge::python
