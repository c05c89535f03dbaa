// GGUF files, and the way between floats and blocks.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>

#include "base/error.h"
#include "base/thread_count.h"
#include "formats/dequantize.h"
#include "formats/gguf.h"
#include "python/bindings.h"
#include "quantize/code_grid.h"
#include "quantize/error_feedback.h"
#include "quantize/quantize.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

// Contiguous arrays are taken as they are; a type that loses digits is refused.
using Floats = py::array_t<float, py::array::c_style>;
using Bytes = py::array_t<uint8_t, py::array::c_style>;

std::string lower_case(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

TensorType type_named(const std::string& name) {
  std::string known;
  for (uint32_t id = 0; id < kTypeIds; ++id) {
    const TypeTraits* traits = type_traits(id);
    if (traits == nullptr) continue;
    const std::string its_name = lower_case(traits->name);
    if (lower_case(name) == its_name) return static_cast<TensorType>(id);
    known += (known.empty() ? "" : ", ") + its_name;
  }
  throw py::value_error("no tensor type is named \"" + name + "\": expected one of " + known);
}

GgufFile open_file(const std::filesystem::path& path) {
  const auto utf8 = path.u8string();  // on POSIX the bytes of the path, whatever they mean
  const std::string bytes(utf8.begin(), utf8.end());
  const py::gil_scoped_release unlocked;
  return GgufFile::open(bytes);
}

// Metadata is meant to be UTF-8; a file that breaks the rule still shows what it holds.
py::str to_text(std::string_view x) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(x.data(), static_cast<py::ssize_t>(x.size()), "replace"));
}

py::object metadata_value(const GgufValue& value) {
  return std::visit(
      [](const auto& x) -> py::object {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return to_text(x);
        } else if constexpr (std::is_same_v<T, GgufArray>) {
          py::list out;
          for_each(x, [&](const GgufValue& element) { out.append(metadata_value(element)); });
          return out;
        } else {
          return py::cast(x);
        }
      },
      value);
}

// The tokenizer's arrays have functions of their own: as lists they would take far longer to make
// than all the rest of the file takes to read.
py::dict metadata(const GgufFile& file) {
  py::dict out;
  for (const auto& [key, value] : file.metadata()) {
    const bool is_array = std::holds_alternative<GgufArray>(value);
    if (!is_array || key.rfind("tokenizer.", 0) != 0) out[py::str(key)] = metadata_value(value);
  }
  return out;
}

py::object value_of(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.find(key);
  return value == nullptr ? py::none() : metadata_value(*value);
}

uint64_t array_length(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.find(key);
  const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
  return array == nullptr ? 0 : array->n;
}

py::list strings(const GgufFile& file, const std::string& key) {
  py::list out;
  for (const std::string_view text : file.get_strings(key)) {
    PyObject* decoded =
        PyUnicode_DecodeUTF8(text.data(), static_cast<py::ssize_t>(text.size()), nullptr);
    if (decoded == nullptr) {
      PyErr_Clear();
      throw FormatError(message(file.path(), ": string ", out.size(), " of the metadata key ", key,
                                " is not UTF-8: the file is damaged, convert the model again"));
    }
    out.append(py::reinterpret_steal<py::str>(decoded));
  }
  return out;
}

// Rows [first, first + n) of a tensor, as they lie in the file.
struct Rows {
  TensorType type;
  size_t n, n_in, bytes;  // `bytes` of one row
  const std::byte* data;

  Rows(const GgufFile& file, const std::string& name, int64_t first, int64_t n_rows) {
    const TensorInfo* tensor = file.find_tensor(name);
    if (tensor == nullptr) throw py::key_error("no tensor " + name + " in " + file.path());
    const auto end = static_cast<int64_t>(tensor->n_rows());  // fewer than the file has bytes
    if (first < 0 || n_rows < 0 || first > end || n_rows > end - first) {
      throw py::index_error(message("tensor ", name, " has rows 0 to ", end - 1, ", asked for ",
                                    n_rows, " from ", first));
    }
    type = tensor->type;
    n = static_cast<size_t>(n_rows);
    n_in = static_cast<size_t>(tensor->n_in());
    bytes = row_bytes(type, n_in);
    data = tensor->data + bytes * static_cast<size_t>(first);
  }
};

Floats dequantized(const Rows& rows) {
  Floats out({rows.n, rows.n_in});
  float* to = out.mutable_data();
  const py::gil_scoped_release unlocked;
  for (size_t i = 0; i < rows.n; ++i) {
    dequantize_row(rows.type, rows.data + rows.bytes * i, to + rows.n_in * i, rows.n_in);
  }
  return out;
}

Floats read_rows(const GgufFile& file, const std::string& name, int64_t first_row, int64_t n_rows) {
  return dequantized(Rows(file, name, first_row, n_rows));
}

Bytes raw_rows(const GgufFile& file, const std::string& name, int64_t first_row, int64_t n_rows) {
  const Rows rows(file, name, first_row, n_rows);
  Bytes out({rows.n, rows.bytes});
  auto* to = reinterpret_cast<std::byte*>(out.mutable_data());
  const py::gil_scoped_release unlocked;
  std::copy_n(rows.data, rows.n * rows.bytes, to);
  return out;
}

// A function that reads a file's metadata or tensors, with an error where some of it could not be
// read.
template <auto function, typename... Arguments>
auto checked(const GgufFile& file, const Arguments&... arguments) {
  return file.checked([&] { return function(file, arguments...); });
}

std::vector<int64_t> integers(const GgufFile& file, const std::string& key) {
  return file.get_integers(key);
}

// Calls body(first, last) for n_threads slices of [0, n). Of several errors the first slice's comes
// through.
template <typename Body>
void in_slices(size_t n, size_t n_threads, const Body& body) {
  const auto policy = n_threads > 1 ? std::launch::async : std::launch::deferred;
  const size_t share = std::max<size_t>(1, (n + n_threads - 1) / n_threads);
  std::vector<std::future<void>> slices;
  for (size_t first = 0; first < n; first += share) {
    slices.push_back(std::async(policy, body, first, std::min(n, first + share)));
  }
  for (auto& slice : slices) slice.get();
}

int slice_count(int n_threads) {
  constexpr int kMostThreads = 256;
  if (n_threads < 0) throw py::value_error("n_threads is negative: expected 0 (all cores) or more");
  return std::min(n_threads > 0 ? n_threads : default_thread_count(), kMostThreads);
}

// The rows and what becomes of them, checked against each other.
struct Quantization {
  TensorType type;
  size_t n_rows, n_in;
  int n_slices;

  Quantization(const Floats& values, const std::string& type_name, int n_threads)
      : type(type_named(type_name)), n_slices(slice_count(n_threads)) {
    if (values.ndim() != 2) {
      throw py::value_error(
          message("values has ", values.ndim(), " dimensions, expected 2: (n_rows, n_in)"));
    }
    n_rows = static_cast<size_t>(values.shape(0));
    n_in = static_cast<size_t>(values.shape(1));
    check_quantizable(type, n_in);
  }

  void check_weights(const Floats& weights) const {
    if (weights.ndim() == 1 && static_cast<size_t>(weights.shape(0)) == n_in) return;
    throw py::value_error(message("weights must be one for each of the ", n_in, " columns"));
  }

  // Calls quantize_slice(first row, number of rows, where they go).
  template <typename Slice>
  Bytes in_slices_of_rows(const Slice& quantize_slice) const {
    const size_t row = row_bytes(type, n_in);
    Bytes out({n_rows, row});
    auto* to = reinterpret_cast<std::byte*>(out.mutable_data());
    const py::gil_scoped_release unlocked;
    in_slices(n_rows, static_cast<size_t>(n_slices), [&](size_t first, size_t last) {
      quantize_slice(first, last - first, to + first * row);
    });
    return out;
  }
};

Bytes quantize(const Floats& values, const std::string& type_name, int n_threads,
               const std::string& rounding, const std::optional<Floats>& weights) {
  const Quantization work(values, type_name, n_threads);
  if (rounding != "search" && rounding != "reference") {
    throw py::value_error("rounding is \"" + rounding + "\", expected \"search\" or \"reference\"");
  }
  if (weights) work.check_weights(*weights);
  const Rounding how = rounding == "search" ? Rounding::kSearch : Rounding::kReference;
  const float* from = values.data();
  const float* each = weights ? weights->data() : nullptr;
  return work.in_slices_of_rows([&](size_t first, size_t n, std::byte* out) {
    quantize_rows(work.type, from + first * work.n_in, n, work.n_in, out, first, how, each);
  });
}

Bytes quantize_with_feedback(const Floats& values, const std::string& type_name,
                             const Floats& weights, const Floats& matrix, int n_threads) {
  const Quantization work(values, type_name, n_threads);
  if (code_set(work.type) == nullptr) {
    throw py::value_error(type_name + " has no scales to choose: quantize without feedback");
  }
  work.check_weights(weights);
  if (matrix.ndim() != 2 || static_cast<size_t>(matrix.shape(0)) != work.n_in ||
      matrix.shape(0) != matrix.shape(1)) {
    throw py::value_error(message("the matrix must be (", work.n_in, ", ", work.n_in, ")"));
  }
  const float* from = values.data();
  const ErrorFeedback feedback{weights.data(), matrix.data()};
  return work.in_slices_of_rows([&](size_t first, size_t n, std::byte* out) {
    quantize_rows_with_feedback(work.type, from + first * work.n_in, n, work.n_in, feedback, out,
                                first);
  });
}

Floats factor_second_moments(Floats& moments, float damping, int n_threads) {
  if (moments.ndim() != 2 || moments.shape(0) != moments.shape(1)) {
    throw py::value_error("moments must be a square matrix");
  }
  const auto n = static_cast<size_t>(moments.shape(0));
  const auto n_slices = static_cast<size_t>(slice_count(n_threads));
  Floats weights(moments.shape(0));
  float* to = moments.mutable_data();
  float* diagonal = weights.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    factor_moments(to, n, damping, diagonal,
                   [=](size_t n_items, const auto& part) { in_slices(n_items, n_slices, part); });
  }
  return weights;
}

Floats dequantize(const Bytes& blocks, const std::string& type_name, size_t n_in) {
  const TensorType type = type_named(type_name);
  const auto block_size = static_cast<size_t>(type_traits(static_cast<uint32_t>(type))->block_size);
  if (n_in % block_size != 0) {
    throw py::value_error(message("n_in is ", n_in, ", expected a multiple of ", block_size,
                                  " for type ", type_name));
  }
  const size_t row = row_bytes(type, n_in);
  if (blocks.ndim() != 2 || static_cast<size_t>(blocks.shape(1)) != row) {
    throw py::value_error(message("blocks must have two dimensions and rows of ", row,
                                  " bytes: that is ", n_in, " numbers of type ", type_name));
  }
  const auto n_rows = static_cast<size_t>(blocks.shape(0));
  Floats out({n_rows, n_in});
  const auto* from = reinterpret_cast<const std::byte*>(blocks.data());
  float* to = out.mutable_data();
  const py::gil_scoped_release unlocked;
  for (size_t i = 0; i < n_rows; ++i) dequantize_row(type, from + row * i, to + n_in * i, n_in);
  return out;
}

}  // namespace

void bind_formats(py::module_& m) {
  py::class_<TensorInfo>(m, "TensorInfo")
      .def_readonly("name", &TensorInfo::name)
      .def_property_readonly(
          "type",
          [](const TensorInfo& t) { return type_traits(static_cast<uint32_t>(t.type))->name; })
      .def_property_readonly("shape",
                             [](const TensorInfo& t) { return py::tuple(py::cast(t.shape)); })
      .def_readonly("n_bytes", &TensorInfo::n_bytes)
      .def_readonly("offset", &TensorInfo::offset);

  py::class_<GgufFile>(m, "GgufFile")
      .def(py::init(&open_file), py::arg("path"))
      .def_property_readonly("path", [](const GgufFile& file) { return to_text(file.path()); })
      .def_property_readonly("version", &GgufFile::version)
      .def_property_readonly("metadata", &checked<metadata>)
      .def("value", &checked<value_of, std::string>, py::arg("key"))
      .def_property_readonly("tensors", &GgufFile::tensors)
      .def(
          "has",
          [](const GgufFile& file, const std::string& key) { return file.find(key) != nullptr; },
          py::arg("key"))
      .def("n_array", &array_length, py::arg("key"))
      .def("strings", &checked<strings, std::string>, py::arg("key"))
      .def("integers", &checked<integers, std::string>, py::arg("key"))
      .def("read_rows", &checked<read_rows, std::string, int64_t, int64_t>, py::arg("name"),
           py::arg("first_row"), py::arg("n_rows"))
      .def("raw_rows", &checked<raw_rows, std::string, int64_t, int64_t>, py::arg("name"),
           py::arg("first_row"), py::arg("n_rows"))
      .def(
          "release",
          [](const GgufFile& file, const std::string& name) { file.release(file.tensor(name)); },
          py::arg("name"));

  m.def("quantize", &quantize, py::arg("values"), py::arg("type"), py::arg("n_threads") = 0,
        py::arg("rounding") = "search", py::arg("weights") = std::nullopt);
  m.def("quantize_with_feedback", &quantize_with_feedback, py::arg("values"), py::arg("type"),
        py::arg("weights"), py::arg("matrix"), py::arg("n_threads") = 0);
  m.def("factor_second_moments", &factor_second_moments, py::arg("moments").noconvert(),
        py::arg("damping"), py::arg("n_threads") = 0);
  m.def("dequantize", &dequantize, py::arg("blocks"), py::arg("type"), py::arg("n_in"));
}

}  // namespace gpt2edge::python
