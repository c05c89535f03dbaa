// The checksum of TensorFlow's checkpoints, for the converter.
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

#include "formats/crc32c.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

std::uint32_t crc32c_of_buffer(const py::buffer& buffer, std::uint32_t crc) {
  const py::buffer_info info = buffer.request();
  if (PyBuffer_IsContiguous(info.view(), 'C') == 0) {
    throw py::value_error("crc32c needs a contiguous buffer");
  }
  const auto* data = static_cast<const std::uint8_t*>(info.ptr);
  const auto size = static_cast<std::size_t>(info.size * info.itemsize);
  const py::gil_scoped_release release;
  return crc32c(crc, data, size);
}

}  // namespace

void bind_checksum(py::module_& m) {
  m.def("crc32c", &crc32c_of_buffer, py::arg("buffer"), py::arg("crc") = 0,
        "CRC-32C of a contiguous buffer that follows bytes whose checksum is `crc`.");
}

}  // namespace gpt2edge::python
