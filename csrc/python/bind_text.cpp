// Text: one text in the making, several at once, saved and resumed.
//
// Every call frees the GIL before it waits for a text's turn or computes, and takes it again to
// hand out what there is.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/mapped_file.h"
#include "generate/text.h"
#include "python/bindings.h"
#include "python/options.h"
#include "python/python_constraint.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

using Tables = std::shared_ptr<TokenizerTables>;

// Bytes that are no UTF-8, and will not be by more of them, become U+FFFD.
py::str text_of(std::string_view bytes) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<py::ssize_t>(bytes.size()), "replace"));
}

// (chosen, [(token, logprob) ...])
py::tuple as_tuple(const TopLogprobs& logprob) {
  py::list top;
  for (const TokenLogprob& t : logprob.top) top.append(py::make_tuple(t.token, t.logprob));
  return py::make_tuple(logprob.chosen, std::move(top));
}

// (text, token, logprob)
py::tuple as_tuple(const Piece& piece) {
  py::object token = py::none(), logprob = py::none();
  if (piece.token) token = py::int_(*piece.token);
  if (piece.logprob) logprob = as_tuple(*piece.logprob);
  return py::make_tuple(text_of(piece.bytes), std::move(token), std::move(logprob));
}

constexpr std::pair<const char*, Overflow> kOverflows[] = {
    {"stop", Overflow::kStop}, {"error", Overflow::kError}, {"slide", Overflow::kSlide}};

Overflow overflow(const std::string& name) {
  for (const auto& [known, value] : kOverflows) {
    if (name == known) return value;
  }
  throw py::value_error("context_overflow is \"" + name +
                        "\"; give \"stop\", \"error\" or \"slide\"");
}

const char* overflow_name(Overflow overflow) {
  const auto* found = std::find_if(std::begin(kOverflows), std::end(kOverflows),
                                   [&](const auto& named) { return named.second == overflow; });
  return found->first;
}

py::object finish_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return py::str("stop");
    case FinishReason::kLength:
      return py::str("length");
    case FinishReason::kTimeout:
      return py::str("timeout");
    case FinishReason::kCancelled:
      return py::str("cancelled");
    case FinishReason::kNone:
      break;
  }
  return py::none();
}

TextOptions text_options(const py::kwargs& named) {
  Keywords keywords(named);
  TextOptions options;
  take_sampler_options(keywords, options.sampling);
  keywords.take("max_tokens", options.max_tokens);
  keywords.take("stop", options.stop);
  keywords.take("logprobs", options.logprobs);
  keywords.take("ignore_eos", options.ignore_eos);
  std::string context_overflow = "stop";
  keywords.take("context_overflow", context_overflow);
  options.context_overflow = overflow(context_overflow);
  keywords.take("max_time", options.max_time);
  keywords.take("keep", options.keep);
  keywords.take("discard", options.discard);
  keywords.check_all_taken();
  return options;
}

void bind_options(py::module_& m) {
  py::class_<TextOptions> text_class(m, "TextOptions");
  each_sampler_option([&](const char* name, auto field) {
    text_class.def_property_readonly(
        name, [field](const TextOptions& o) { return to_python(o.sampling.*field); });
  });
  text_class.def(py::init(&text_options))
      .def_property_readonly(
          "logits_processor",
          [](const TextOptions& o) { return python_function(o.sampling.logits_processor); })
      .def_readonly("max_tokens", &TextOptions::max_tokens)
      .def_readonly("stop", &TextOptions::stop)
      .def_readonly("logprobs", &TextOptions::logprobs)
      .def_readonly("ignore_eos", &TextOptions::ignore_eos)
      .def_property_readonly("context_overflow",
                             [](const TextOptions& o) { return overflow_name(o.context_overflow); })
      .def_readonly("max_time", &TextOptions::max_time)
      .def_readonly("keep", &TextOptions::keep)
      .def_readonly("discard", &TextOptions::discard);

  py::class_<ContextOptions>(m, "ContextOptions")
      .def(py::init([](int n_ctx, const std::string& kv_type) {
             return ContextOptions{n_ctx, cache_type(kv_type)};
           }),
           py::arg("n_ctx"), py::arg("kv_type"));

  py::class_<SpeculationOptions>(m, "SpeculationOptions")
      .def(py::init([](bool prompt_lookup, std::shared_ptr<Model> draft, Tables draft_tables,
                       const ContextOptions& draft_contexts, int max_draft, int min_draft) {
             if (draft != nullptr && draft_tables == nullptr) {
               throw py::type_error("a draft needs the tables of its tokenizer");
             }
             return SpeculationOptions{prompt_lookup,  std::move(draft), std::move(draft_tables),
                                       draft_contexts, max_draft,        min_draft};
           }),
           py::kw_only(), py::arg("prompt_lookup") = false, py::arg("draft") = nullptr,
           py::arg("draft_tables") = nullptr, py::arg("draft_contexts") = ContextOptions{},
           py::arg("max_draft") = kMaxDraft, py::arg("min_draft") = 0);
}

std::unique_ptr<Text> make_text(std::shared_ptr<Model> model, Tables tables,
                                const ContextOptions& contexts, Tokens prompt,
                                const TextOptions& options, const SpeculationOptions& speculation,
                                py::object constraint) {
  auto drafters = make_speculation(speculation, *model, *tables, options.slide(prompt.size()));
  return std::make_unique<Text>(std::move(model), std::move(tables), contexts, std::move(prompt),
                                options, std::move(drafters),
                                python_constraint(std::move(constraint)));
}

// Calls `use` with the file's bytes, or with an error of the file in them.
std::unique_ptr<Text> resume_text(const std::string& path, std::shared_ptr<Model> model,
                                  Tables tables, const ContextOptions& contexts,
                                  std::optional<int64_t> max_tokens,
                                  const SpeculationOptions& speculation, py::object constraint) {
  const MakeConstraint make_constraint = python_constraint_maker(std::move(constraint));
  const py::gil_scoped_release unlocked;
  const MappedFile file(path);
  return file.checked(path, [&] {
    return Text::resume(path, file.bytes(), std::move(model), std::move(tables), contexts,
                        max_tokens, speculation, make_constraint);
  });
}

py::tuple next_piece(Text& text) {
  std::optional<Piece> piece;
  {
    const py::gil_scoped_release unlocked;
    piece = text.next(check_signals());
  }
  if (!piece) throw py::stop_iteration();
  return as_tuple(*piece);
}

py::list pieces(Text& text) {
  std::vector<Piece> taken;
  {
    const py::gil_scoped_release unlocked;
    taken = text.pieces();
  }
  py::list out;
  for (const Piece& piece : taken) out.append(as_tuple(piece));
  return out;
}

void step_together(const std::vector<Text*>& texts) {
  const py::gil_scoped_release unlocked;
  Text::step(texts, check_signals());
}

void save(const Text& text, const std::function<void(py::memoryview)>& write) {
  const py::gil_scoped_release unlocked;
  text.save([&](std::span<const std::byte> bytes) {
    const py::gil_scoped_acquire gil;
    write(py::memoryview::from_memory(bytes.data(), static_cast<py::ssize_t>(bytes.size())));
  });
}

py::dict as_dict(const TextTimings& t) {
  py::dict out;
  out["prefill_tokens"] = t.prefill_tokens;
  out["prefill_s"] = t.prefill_s;
  out["decode_tokens"] = t.decode_tokens;
  out["decode_s"] = t.decode_s;
  out["decode_passes"] = t.decode_passes;
  out["draft_tokens"] = t.draft_tokens;
  out["accepted_tokens"] = t.accepted_tokens;
  return out;
}

void bind_state(py::module_& m) {
  py::class_<TextState>(m, "TextState")
      .def_property_readonly("text", [](const TextState& s) { return text_of(s.bytes); })
      .def_readonly("prompt", &TextState::prompt)
      .def_readonly("tokens", &TextState::tokens)
      .def_property_readonly("logprobs",
                             [](const TextState& s) {
                               py::list out;
                               for (const auto& logprob : s.logprobs) out.append(as_tuple(logprob));
                               return out;
                             })
      .def_readonly("n_repeated", &TextState::n_repeated)
      .def_property_readonly("end_logprob",
                             [](const TextState& s) -> py::object {
                               return s.end_logprob ? py::object(as_tuple(*s.end_logprob))
                                                    : py::none();
                             })
      .def_property_readonly("finish_reason",
                             [](const TextState& s) { return finish_reason(s.finish_reason); })
      .def_property_readonly("stop_string",
                             [](const TextState& s) -> py::object {
                               return s.stop_string ? py::object(text_of(*s.stop_string))
                                                    : py::none();
                             })
      .def_property_readonly("timings", [](const TextState& s) { return as_dict(s.timings); });
}

}  // namespace

void bind_text(py::module_& m) {
  bind_options(m);
  bind_state(m);
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  py::class_<Text>(m, "Text")
      .def(py::init(&make_text), py::arg("model"), py::arg("tables"), py::arg("contexts"),
           py::arg("prompt"), py::arg("options"), py::arg("speculation") = SpeculationOptions{},
           py::arg("constraint") = py::none())
      .def_static("resume", &resume_text, py::arg("path"), py::arg("model"), py::arg("tables"),
                  py::arg("contexts"), py::arg("max_tokens") = std::nullopt,
                  py::arg("speculation") = SpeculationOptions{}, py::arg("constraint") = py::none())
      .def("next", &next_piece)
      .def(
          "run", [](Text& text) { text.run(check_signals()); }, Unlocked())
      .def("cancel", &Text::cancel)
      .def("pieces", &pieces)
      .def("check_error", &Text::check_error, Unlocked())
      .def("check", &Text::check, Unlocked())
      .def("share", &Text::share, py::arg("session"), Unlocked())
      .def("prefix", &Text::prefix, Unlocked())
      .def("release", &Text::release, Unlocked())
      .def("state", &Text::state, Unlocked())
      .def("save", &save, py::arg("write"))
      .def("saved_bytes", &Text::saved_bytes, Unlocked())
      .def_property_readonly("options", &Text::options)
      .def_property_readonly("finished", py::cpp_function(&Text::finished, Unlocked()))
      .def_property_readonly("has_begun", py::cpp_function(&Text::has_begun, Unlocked()))
      .def_property_readonly("max_pages", py::cpp_function(&Text::max_pages, Unlocked()));

  m.def("step_together", &step_together, py::arg("texts"));
}

}  // namespace gpt2edge::python
