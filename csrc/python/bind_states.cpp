// Hidden states and embeddings of texts.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "generate/states/classification.h"
#include "generate/states/embedding.h"
#include "generate/states/hidden_states.h"
#include "model/classifier.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {

namespace {

Pooling pooling(const std::string& name) {
  if (name == "mean") return Pooling::kMean;
  if (name == "last") return Pooling::kLast;
  if (name == "weighted") return Pooling::kWeighted;
  throw py::value_error("pooling is \"" + name + "\", expected \"mean\", \"last\" or \"weighted\"");
}

// A (n_tokens, n_embd) array for each text.
std::vector<py::array_t<float>> hidden_states(std::shared_ptr<Model> model,
                                              const ContextOptions& contexts,
                                              const TokenLists& texts, int state) {
  require_numpy();
  const auto n_embd = static_cast<py::ssize_t>(model->config().n_embd);
  std::vector<std::vector<float>> found(texts.size());
  {
    const py::gil_scoped_release unlocked;
    const auto take = [&](size_t text, std::span<const float> states) {
      found[text].assign(states.begin(), states.end());
    };
    for_each_text_states(std::move(model), contexts, texts, {state, false}, take, check_signals());
  }
  std::vector<py::array_t<float>> out;
  for (const std::vector<float>& states : found) {
    out.emplace_back(std::vector{static_cast<py::ssize_t>(states.size()) / n_embd, n_embd},
                     states.data());
  }
  return out;
}

}  // namespace

void bind_states(py::module_& m) {
  py::class_<Classifier>(m, "Classifier")
      .def_readonly("of_tokens", &Classifier::of_tokens)
      .def_readonly("labels", &Classifier::labels)
      .def_readonly("pad_token", &Classifier::pad_token)
      .def_readonly("problem_type", &Classifier::problem_type);
  m.def("has_language_model", &Model::has_language_model, py::arg("model"));
  m.def("classifier", &Model::classifier, py::arg("model"), py::return_value_policy::reference,
        py::keep_alive<0, 1>());
  m.def(
      "classify",
      [](std::shared_ptr<Model> model, const ContextOptions& contexts, const TokenLists& texts) {
        const py::gil_scoped_release unlocked;
        return classify(std::move(model), contexts, texts, check_signals());
      },
      py::arg("model"), py::arg("contexts"), py::arg("texts"));
  m.def("hidden_states", &hidden_states, py::arg("model"), py::arg("contexts"), py::arg("texts"),
        py::arg("state"));
  m.def(
      "embed",
      [](std::shared_ptr<Model> model, const ContextOptions& contexts, const TokenLists& texts,
         int state, const std::string& pooling_name, bool normalize) {
        const EmbeddingOptions options{state, pooling(pooling_name), normalize};
        const py::gil_scoped_release unlocked;
        return embed(std::move(model), contexts, texts, options, check_signals());
      },
      py::arg("model"), py::arg("contexts"), py::arg("texts"), py::arg("state"), py::arg("pooling"),
      py::arg("normalize"));
}

}  // namespace gpt2edge::python
