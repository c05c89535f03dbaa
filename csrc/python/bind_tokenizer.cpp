// The vocabulary, and text to tokens.
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/tokenizer_tables.h"
#include "python/bindings.h"
#include "python/logits_processor.h"
#include "tokenize/tokenizer.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

TokenizerTables tables_from_lists(const std::vector<std::string>& tokens,
                                  std::vector<int64_t> token_types,
                                  const std::vector<std::string>& merges,
                                  std::optional<int64_t> bos_token,
                                  std::optional<int64_t> eos_token, std::string path) {
  TokenizerSource source;
  source.path = std::move(path);
  source.tokens.assign(tokens.begin(), tokens.end());
  source.token_types = std::move(token_types);
  source.merges.assign(merges.begin(), merges.end());
  source.bos_token = bos_token;
  source.eos_token = eos_token;
  return make_tokenizer_tables(source);
}

std::vector<int32_t> tokens_of_type(const TokenizerTables& tables, int32_t type) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < tables.token_types.size(); ++i) {
    if (tables.token_types[i] == type) ids.push_back(static_cast<int32_t>(i));
  }
  return ids;
}

std::vector<int32_t> special_tokens(const TokenizerTables& tables) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < tables.token_types.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (is_special_token(tables, id)) ids.push_back(id);
  }
  return ids;
}

bool is_ranked_by_id(const TokenizerTables& tables) {
  for (size_t i = 0; i < tables.ranked_ids.size(); ++i) {
    const bool same_id = tables.ranked_ids[i] == static_cast<int32_t>(i);
    if (!same_id || ranked_bytes(tables, i) != tables.token_bytes[i]) return false;
  }
  return true;
}

py::list all_token_bytes(const TokenizerTables& tables) {
  py::list out(tables.token_bytes.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = py::bytes(tables.token_bytes[i]);
  return out;
}

py::list merges_ranks(const TokenizerTables& tables) {
  py::list out(tables.ranked_ids.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = py::bytes(ranked_bytes(tables, i));
  return out;
}

// A text of Python's, or bytes. Others may run meanwhile.
std::vector<int32_t> encode(const Tokenizer& tokenizer, std::string_view text, bool allow_special) {
  const py::gil_scoped_release unlocked;
  return tokenizer.encode(text, allow_special);
}

// Text to tokens by a Python function; None gives no rule.
Tokenizer::OtherRule python_rule(const py::object& function) {
  if (function.is_none()) return {};
  return [function = share(function)](std::string_view utf8, bool allow_special) {
    const py::gil_scoped_acquire gil;
    try {
      const py::str text(utf8.data(), utf8.size());
      return (*function)(text, allow_special).cast<std::vector<int32_t>>();
    } catch (const py::error_already_set& error) {
      throw PythonError(error);
    }
  };
}

void bind_tokenizer_tables(py::module_& m) {
  py::class_<TokenizerTables, std::shared_ptr<TokenizerTables>>(m, "TokenizerTables")
      .def(py::init(&tables_from_lists), py::arg("tokens"), py::arg("token_types"),
           py::arg("merges"), py::arg("bos_token"), py::arg("eos_token"), py::arg("path"))
      .def_property_readonly("token_bytes", &all_token_bytes)
      .def_readonly("token_types", &TokenizerTables::token_types)
      .def_property_readonly("merges_ranks", &merges_ranks)
      .def_readonly("ranked_ids", &TokenizerTables::ranked_ids)
      .def_property_readonly("n_ranked",
                             [](const TokenizerTables& t) { return t.ranked_ids.size(); })
      .def_property_readonly("is_ranked_by_id", &is_ranked_by_id)
      .def_readonly("path", &TokenizerTables::path)
      .def_readonly("other_rule", &TokenizerTables::other_rule)
      .def_readonly("hidden_spaces", &TokenizerTables::hidden_spaces)
      .def("start_token", &start_token)
      .def_property_readonly("special_tokens", &special_tokens)
      .def("tokens_of_type", &tokens_of_type, py::arg("type"))
      .def_readonly("bos_token", &TokenizerTables::bos_token)
      .def_readonly("eos_token", &TokenizerTables::eos_token);

  m.def("tokenizer_tables", &read_tokenizer_tables, py::arg("gguf"),
        py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_tokenizer(py::module_& m) {
  bind_tokenizer_tables(m);
  py::class_<Tokenizer, std::shared_ptr<Tokenizer>>(m, "Tokenizer")
      .def(py::init([](std::shared_ptr<TokenizerTables> tables, const py::object& rule) {
             Tokenizer::OtherRule other = python_rule(rule);
             const py::gil_scoped_release unlocked;
             return std::make_shared<Tokenizer>(std::move(tables), std::move(other));
           }),
           py::arg("tables").none(false), py::arg("rule") = py::none())
      .def("encode", &encode, py::arg("text"), py::arg("allow_special") = false);
}

}  // namespace gpt2edge::python
