// GGUF files, and the way between floats and blocks.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "base/cpu_info.h"
#include "base/error.h"
#include "formats/dequantize.h"
#include "formats/gguf.h"
#include "python/bindings.h"
#include "quantize/quantize.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Bytes = py::array_t<uint8_t, py::array::c_style>;

TensorType type_named(const std::string& name) {
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  for (uint32_t id = 0; id <= static_cast<uint32_t>(TensorType::BF16); ++id) {
    const TypeTraits* traits = type_traits(id);
    if (traits != nullptr && upper == traits->name) return static_cast<TensorType>(id);
  }
  throw py::value_error("no tensor type is named \"" + name + "\"");
}

py::object to_python(const GgufValue& value) {
  return std::visit(
      [](const auto& x) -> py::object {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          // Metadata is meant to be UTF-8; a file that breaks the rule still shows what it holds.
          return py::reinterpret_steal<py::object>(
              PyUnicode_DecodeUTF8(x.data(), static_cast<py::ssize_t>(x.size()), "replace"));
        } else if constexpr (std::is_same_v<T, GgufArray>) {
          return py::str("array of " + std::to_string(x.n));
        } else {
          return py::cast(x);
        }
      },
      value);
}

py::dict metadata(const GgufFile& file) {
  py::dict out;
  for (const auto& [key, value] : file.metadata()) {
    if (!std::holds_alternative<GgufArray>(value)) out[py::str(key)] = to_python(value);
  }
  return out;
}

uint64_t array_length(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.find(key);
  const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
  return array == nullptr ? 0 : array->n;
}

std::vector<py::bytes> strings(const GgufFile& file, const std::string& key) {
  std::vector<py::bytes> out;
  for (const std::string_view text : file.get_strings(key)) out.emplace_back(text);
  return out;
}

// The rows asked for, or IndexError.
const TensorInfo& checked_rows(const GgufFile& file, const std::string& name, uint64_t first,
                               uint64_t n) {
  const TensorInfo* tensor = file.find_tensor(name);
  if (tensor == nullptr) throw py::key_error("no tensor " + name + " in " + file.path());
  if (first > tensor->n_rows() || n > tensor->n_rows() - first) {
    throw py::index_error(message("tensor ", name, " has ", tensor->n_rows(), " rows, asked for ",
                                  first, " to ", first + n));
  }
  return *tensor;
}

Floats read_rows(const GgufFile& file, const std::string& name, uint64_t first, uint64_t n) {
  const TensorInfo& tensor = checked_rows(file, name, first, n);
  Floats out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(tensor.n_in())});
  float* to = out.mutable_data();
  const size_t row = row_bytes(tensor.type, tensor.n_in());
  const py::gil_scoped_release unlocked;
  for (uint64_t i = 0; i < n; ++i) {
    dequantize_row(tensor.type, tensor.data + row * (first + i), to + tensor.n_in() * i,
                   tensor.n_in());
  }
  return out;
}

Bytes raw_rows(const GgufFile& file, const std::string& name, uint64_t first, uint64_t n) {
  const TensorInfo& tensor = checked_rows(file, name, first, n);
  const size_t row = row_bytes(tensor.type, tensor.n_in());
  Bytes out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(row)});
  std::copy_n(tensor.data + row * first, row * n, reinterpret_cast<std::byte*>(out.mutable_data()));
  return out;
}

// Calls body(first, last) for slices of [0, n) on n_threads threads, and passes on what they throw.
template <typename Body>
void in_parallel(size_t n, int n_threads, Body body) {
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
  const size_t share = (n + static_cast<size_t>(n_threads) - 1) / static_cast<size_t>(n_threads);
  std::vector<std::thread> threads;
  for (size_t first = 0; first < n; first += share) {
    threads.emplace_back([&, first] {
      try {
        body(first, std::min(n, first + share));
      } catch (...) {
        if (!failed.exchange(true)) failure = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

Bytes quantize(const Floats& values, const std::string& type_name, int n_threads) {
  if (values.ndim() != 2) throw py::value_error("values must have two dimensions: rows and inputs");
  const TensorType type = type_named(type_name);
  const auto n_rows = static_cast<size_t>(values.shape(0));
  const auto n_in = static_cast<size_t>(values.shape(1));
  const size_t row = row_bytes(type, n_in);
  Bytes out({values.shape(0), static_cast<py::ssize_t>(row)});
  const float* from = values.data();
  auto* to = reinterpret_cast<std::byte*>(out.mutable_data());
  const int threads = std::max(1, n_threads > 0 ? n_threads : default_thread_count());
  const py::gil_scoped_release unlocked;
  in_parallel(n_rows, threads, [&](size_t first, size_t last) {
    quantize_rows(type, from + first * n_in, last - first, n_in, to + first * row, first);
  });
  return out;
}

Floats dequantize(const Bytes& blocks, const std::string& type_name, size_t n_in) {
  const TensorType type = type_named(type_name);
  const size_t row = row_bytes(type, n_in);
  const int block_size = type_traits(static_cast<uint32_t>(type))->block_size;
  if (blocks.ndim() != 2 || static_cast<size_t>(blocks.shape(1)) != row ||
      n_in % static_cast<size_t>(block_size) != 0) {
    throw py::value_error(message("blocks must be rows of ", row, " bytes for ", n_in,
                                  " numbers of type ", type_name));
  }
  Floats out({blocks.shape(0), static_cast<py::ssize_t>(n_in)});
  const auto* from = reinterpret_cast<const std::byte*>(blocks.data());
  for (size_t i = 0; i < static_cast<size_t>(blocks.shape(0)); ++i) {
    dequantize_row(type, from + row * i, out.mutable_data() + n_in * i, n_in);
  }
  return out;
}

}  // namespace

void bind_formats(py::module_& m) {
  py::class_<TensorInfo>(m, "TensorInfo")
      .def_readonly("name", &TensorInfo::name)
      .def_property_readonly("type",
                             [](const TensorInfo& t) {
                               return type_traits(static_cast<uint32_t>(t.type))->name;
                             })
      .def_property_readonly("shape", [](const TensorInfo& t) { return py::tuple(py::cast(t.shape)); })
      .def_readonly("n_bytes", &TensorInfo::n_bytes)
      .def_readonly("offset", &TensorInfo::offset);

  py::class_<GgufFile>(m, "GgufFile")
      .def(py::init(&GgufFile::open), py::arg("path"), py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("path", &GgufFile::path)
      .def_property_readonly("version", &GgufFile::version)
      .def_property_readonly("metadata", &metadata)
      .def_property_readonly("tensors", &GgufFile::tensors)
      .def("has", [](const GgufFile& file, const std::string& key) { return file.find(key) != nullptr; },
           py::arg("key"))
      .def("n_array", &array_length, py::arg("key"))
      .def("strings", &strings, py::arg("key"))
      .def("integers", &GgufFile::get_integers, py::arg("key"))
      .def("read_rows", &read_rows, py::arg("name"), py::arg("first"), py::arg("n"))
      .def("raw_rows", &raw_rows, py::arg("name"), py::arg("first"), py::arg("n"))
      .def("release",
           [](const GgufFile& file, const std::string& name) { file.release(file.tensor(name)); },
           py::arg("name"));

  m.def("quantize", &quantize, py::arg("values"), py::arg("type"), py::arg("n_threads") = 0);
  m.def("dequantize", &dequantize, py::arg("blocks"), py::arg("type"), py::arg("n_in"));
}

}  // namespace gpt2edge::python
