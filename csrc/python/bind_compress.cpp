// Compressor: bytes to compressed ones and back.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "compress/compressor.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

using PythonProgress = std::function<void(uint64_t done, uint64_t all)>;

// Taking the GIL costs, so it looks at the clock first; the end is always told.
CompressionProgress told_now_and_then(const PythonProgress& progress) {
  using Clock = std::chrono::steady_clock;
  if (!progress) return {};
  return [&progress, last = Clock::time_point()](uint64_t done, uint64_t all) mutable {
    if (done < all && Clock::now() - last < std::chrono::milliseconds(50)) return;
    const py::gil_scoped_acquire gil;
    progress(done, all);
    last = Clock::now();
  };
}

std::span<const std::byte> bytes_of(std::string_view data) {
  return std::as_bytes(std::span(data));
}

py::bytes compress(const Compressor& compressor, const py::bytes& text, size_t block_size,
                   const PythonProgress& progress) {
  const std::string_view view = text;
  std::string out;
  {
    const py::gil_scoped_release unlocked;
    out = compressor.compress(view, block_size, told_now_and_then(progress), check_signals());
  }
  return out;
}

py::bytes decompress(const Compressor& compressor, const std::string& name, const py::bytes& data,
                     int n_parallel, const PythonProgress& progress) {
  const std::string_view view = data;
  std::string out;
  {
    const py::gil_scoped_release unlocked;
    out = compressor.decompress(name, bytes_of(view), n_parallel, told_now_and_then(progress),
                                check_signals());
  }
  return out;
}

py::bytes compress_message(const Compressor& compressor, const py::bytes& text) {
  const std::string_view view = text;
  std::string out;
  {
    const py::gil_scoped_release unlocked;
    out = compressor.compress_message(view, check_signals());
  }
  return out;
}

py::bytes decompress_message(const Compressor& compressor, const std::string& name,
                             const py::bytes& data) {
  const std::string_view view = data;
  std::string out;
  {
    const py::gil_scoped_release unlocked;
    out = compressor.decompress_message(name, bytes_of(view), check_signals());
  }
  return out;
}

}  // namespace

void bind_compress(py::module_& m) {
  py::class_<Compressor>(m, "Compressor")
      .def_static("usual_block", [] { return Compressor::kUsualBlock; })
      .def_static("most_message", [] { return Compressor::kMostMessage; })
      .def(py::init(
               [](std::shared_ptr<Model> model, std::shared_ptr<Tokenizer> tokenizer, int n_ctx) {
                 return std::make_unique<Compressor>(std::move(model), std::move(tokenizer), n_ctx);
               }),
           py::arg("model").none(false), py::arg("tokenizer").none(false), py::arg("n_ctx"))
      .def("compress", &compress, py::arg("text"), py::arg("block_size"), py::arg("progress"))
      .def("decompress", &decompress, py::arg("name"), py::arg("data"), py::arg("n_parallel"),
           py::arg("progress"))
      .def("compress_message", &compress_message, py::arg("text"))
      .def("decompress_message", &decompress_message, py::arg("name"), py::arg("data"));
}

}  // namespace gpt2edge::python
