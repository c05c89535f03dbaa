// Model and Session: load, compute, look at the logits.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "base/available_memory.h"
#include "base/error.h"
#include "base/thread_count.h"
#include "generate/sampling/sampler.h"
#include "generate/score.h"
#include "generate/sequence.h"
#include "model/model.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {

namespace {

constexpr std::pair<const char*, kernels::CacheType> kCacheTypes[] = {
    {"int8", kernels::CacheType::kInt8},
    {"int16", kernels::CacheType::kInt16},
    {"f16", kernels::CacheType::kF16},
    {"f32", kernels::CacheType::kF32},
};

const char* kv_type(const Model& model) {
  const auto* found =
      std::find_if(std::begin(kCacheTypes), std::end(kCacheTypes),
                   [&](const auto& named) { return named.second == model.cache_type(); });
  return found->first;
}

// Of all sequences, shared pages counted once.
size_t cache_bytes_used(const Model& model) {
  size_t bytes = 0;
  for (const auto& named : kCacheTypes) {
    const PagePool& pool = *model.page_pool(named.second);
    bytes += pool.page_bytes() * static_cast<size_t>(pool.n_used());
  }
  return bytes;
}

CacheOptions cache_options(int n_ctx, const std::string& kv_type) {
  CacheOptions options;
  options.n_ctx = n_ctx;
  if (!kv_type.empty()) options.type = cache_type(kv_type);
  return options;
}

// n none: after all tokens.
Logits logits_of(const Sequence& sequence, std::optional<int> n) {
  return sequence.logits_after(n.value_or(sequence.length()));
}

py::array_t<float> logits_after(const Sequence& sequence, std::optional<int> n) {
  require_numpy();
  const auto logits = logits_of(sequence, n).all;
  return py::array_t<float>(static_cast<py::ssize_t>(logits.size()), logits.data());
}

void append(Sequence& sequence, const Tokens& tokens, int n_logits) {
  const py::gil_scoped_release unlocked;
  const Sequence::Part part{&sequence, tokens, n_logits};
  Sequence::append({&part, 1}, check_signals());
}

py::array_t<float> append_all_logits(Sequence& sequence, const Tokens& tokens) {
  require_numpy();
  const auto n_rows = static_cast<py::ssize_t>(tokens.size());
  py::array_t<float> logits({n_rows, py::ssize_t{sequence.model().config().n_vocab}});
  const Sequence::Part part{&sequence, tokens, 1, logits.mutable_data()};
  const py::gil_scoped_release unlocked;
  Sequence::append({&part, 1}, check_signals());
  return logits;
}

// (layers, heads, tokens, positions)
py::array_t<float> append_attention(Sequence& sequence, const Tokens& tokens,
                                    const std::vector<int32_t>& layers) {
  require_numpy();
  const Config& config = sequence.model().config();
  sequence.check(tokens);
  const int n_rows = static_cast<int>(tokens.size()), n_positions = sequence.length() + n_rows;
  py::array_t<float> out({static_cast<py::ssize_t>(layers.size()), py::ssize_t{config.n_head},
                          py::ssize_t{n_rows}, py::ssize_t{n_positions}});
  const auto weights =
      AttentionWeights::of(config, layers, n_rows, n_positions, out.mutable_data());
  const int n_logits = sequence.model().has_language_model() ? 1 : 0;
  const Sequence::Part part{&sequence, tokens, n_logits, nullptr, &weights};
  const py::gil_scoped_release unlocked;
  Sequence::append({&part, 1}, check_signals());
  return out;
}

// A list of (session, tokens) or (session, tokens, n_logits).
void append_together(const std::vector<py::tuple>& parts) {
  std::vector<Tokens> tokens;
  std::vector<Sequence::Part> borrowed;
  tokens.reserve(parts.size());
  for (const py::tuple& part : parts) {
    if (part.size() < 2 || part.size() > 3 || !py::isinstance<Sequence>(part[0])) {
      throw py::type_error("a part is a Session, its tokens and, maybe, n_logits");
    }
    tokens.push_back(part[1].cast<Tokens>());
    const int n_logits = part.size() == 3 ? part[2].cast<int>() : 1;
    borrowed.push_back({part[0].cast<Sequence*>(), tokens.back(), n_logits});
  }
  const py::gil_scoped_release unlocked;
  Sequence::append(borrowed, check_signals());
}

// A list of (session, tokens, targets).
std::vector<std::vector<float>> append_and_score_parts(
    const std::vector<std::tuple<Sequence*, Tokens, Tokens>>& parts) {
  std::vector<ScoredPart> borrowed;
  for (const auto& [sequence, tokens, targets] : parts) {
    if (sequence == nullptr) throw py::type_error("parts begin with a Session");
    borrowed.push_back({sequence, tokens, targets});
  }
  const py::gil_scoped_release unlocked;
  return append_and_score(borrowed, check_signals());
}

std::vector<TopOfRow> append_and_rank_part(Sequence& sequence, const Tokens& tokens,
                                           const Tokens& targets, int n_top) {
  const ScoredPart part{&sequence, tokens, targets};
  const py::gil_scoped_release unlocked;
  const auto ranked = append_and_rank({&part, 1}, n_top, check_signals());
  std::vector<TopOfRow> out;
  for (const TopLogprobs& found : ranked.front()) out.push_back(top_of_row(found));
  return out;
}

py::dict memory_estimate(const std::string& path, int n_ctx, const std::string& kv_type,
                         int n_threads) {
  const GgufFile file = GgufFile::open(path);
  const MemoryNeeds needs =
      memory_needs(WeightPlan(file, read_config(file)), cache_options(n_ctx, kv_type),
                   checked_thread_count(n_threads));
  py::dict out;
  out["weights"] = needs.weights;
  out["cache"] = needs.cache;
  out["workspace"] = needs.workspace;
  return out;
}

py::dict config_dict(const Model& model) {
  const Config& c = model.config();
  py::dict out;
  out["n_layer"] = c.n_layer;
  out["n_head"] = c.n_head;
  out["n_embd"] = c.n_embd;
  out["n_inner"] = c.n_inner;
  out["n_ctx"] = c.n_ctx;
  out["n_vocab"] = c.n_vocab;
  out["layer_norm_epsilon"] = c.layer_norm_epsilon;
  out["activation_function"] = activation_name(c.activation);
  return out;
}

}  // namespace

// Taking the GIL costs, so it looks at the clock first.
Interrupt check_signals() {
  using Clock = std::chrono::steady_clock;
  return [last = Clock::now()]() mutable {
    if (Clock::now() - last < std::chrono::milliseconds(20)) return;
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    last = Clock::now();
  };
}

void require_numpy() {
  py::module_::import("pygpt2edge.errors").attr("require")("numpy", "an array of numbers");
}

kernels::CacheType cache_type(const std::string& name) {
  for (const auto& [known, type] : kCacheTypes) {
    if (name == known) return type;
  }
  throw py::value_error("kv_type is \"" + name +
                        "\", expected \"int8\", \"int16\", \"f16\" or \"f32\"");
}

void bind_model(py::module_& m) {
  py::class_<Model, std::shared_ptr<Model>>(m, "Model")
      .def(py::init(
               [](const std::string& path, int n_threads, int n_ctx, const std::string& kv_type) {
                 const CacheOptions cache = cache_options(n_ctx, kv_type);
                 const py::gil_scoped_release unlocked;
                 return std::make_shared<Model>(path, n_threads, cache);
               }),
           py::arg("path"), py::arg("n_threads") = 0, py::arg("n_ctx") = 0, py::arg("kv_type") = "")
      .def_property_readonly("config", &config_dict)
      .def_property_readonly("n_threads", &Model::n_threads)
      .def_property_readonly("fingerprint", &Model::fingerprint)
      .def_property_readonly("isa", [](const Model& model) { return model.kernels().name; })
      .def_property_readonly("weight_bytes", &Model::weight_bytes)
      .def_property_readonly("workspace_bytes", &Model::workspace_bytes)
      .def_property_readonly("bytes_per_token", &Model::bytes_per_token)
      .def_property_readonly("multiply_adds_per_token", &Model::multiply_adds_per_token)
      .def_property_readonly("kv_type", &kv_type)
      .def(
          "page_bytes",
          [](const Model& model, const std::string& kv_type) {
            return model.page_pool(cache_type(kv_type))->page_bytes();
          },
          py::arg("kv_type"))
      .def_property_readonly("cache_bytes_used", &cache_bytes_used);

  py::class_<Sequence>(m, "Session")
      .def(py::init([](std::shared_ptr<Model> model, int n_ctx, const std::string& kv_type) {
             const ContextOptions context{n_ctx, cache_type(kv_type)};
             const int n = context.positions(*model);
             return std::make_unique<Sequence>(std::move(model), n, context.cache_type);
           }),
           py::arg("model"), py::arg("n_ctx") = 0, py::arg("kv_type") = "f16")
      .def("append", &append, py::arg("tokens"), py::arg("n_logits") = 1)
      .def(
          "check", [](const Sequence& sequence, const Tokens& tokens) { sequence.check(tokens); },
          py::arg("tokens"))
      .def("append_all_logits", &append_all_logits, py::arg("tokens"))
      .def("append_attention", &append_attention, py::arg("tokens"), py::arg("layers"))
      .def("truncate", &Sequence::truncate, py::arg("n"))
      .def("fork", &Sequence::fork)
      .def_property_readonly(
          "logits", [](const Sequence& sequence) { return logits_after(sequence, std::nullopt); })
      .def("logits_after", &logits_after, py::arg("n"))
      .def(
          "top_logprobs",
          [](const Sequence& sequence, int32_t chosen, int n_top) {
            return top_logprobs(logits_of(sequence, std::nullopt), chosen, n_top);
          },
          py::arg("chosen"), py::arg("n_top"))
      // The GIL stays held, as by Sampler.sample.
      .def(
          "sample",
          [](const Sequence& sequence, Sampler& sampler, std::optional<int> n) {
            return sampler.sample(logits_of(sequence, n));
          },
          py::arg("sampler"), py::arg("n") = std::nullopt)
      .def_property_readonly("tokens", &Sequence::tokens)
      .def_property_readonly("n_ctx", &Sequence::n_ctx)
      .def_property_readonly("cache_bytes", &Sequence::cache_bytes)
      .def_property_readonly("cache_bytes_used", &Sequence::cache_bytes_used)
      .def("__len__", &Sequence::length);

  m.def("available_memory", &available_memory);
  m.def("append_together", &append_together, py::arg("parts"));
  m.def("append_and_score", &append_and_score_parts, py::arg("parts"));
  m.def("append_and_rank", &append_and_rank_part, py::arg("session"), py::arg("tokens"),
        py::arg("targets"), py::arg("n_top"));
  m.def(
      "score",
      [](std::shared_ptr<Model> model, const ContextOptions& contexts, int32_t start,
         const Tokens& tokens) {
        const py::gil_scoped_release unlocked;
        return score(std::move(model), contexts, start, tokens, check_signals());
      },
      py::arg("model"), py::arg("contexts"), py::arg("start"), py::arg("tokens"));

  m.def("memory_estimate", &memory_estimate, py::arg("path"), py::arg("n_ctx") = 0,
        py::arg("kv_type") = "", py::arg("n_threads") = 0);
}

}  // namespace gpt2edge::python
