// The extension module pygpt2edge._core: registers the bindings, and turns the core's exceptions
// into Python's, here and nowhere else.
#include <cstring>
#include <exception>
#include <string>

#include "base/error.h"
#include "python/bindings.h"
#include "python/logits_processor.h"

namespace py = pybind11;

namespace {

using gpt2edge::ContextLengthError;
using gpt2edge::FileError;
using gpt2edge::FormatError;
using gpt2edge::MemoryError;
using gpt2edge::UnsupportedError;
using gpt2edge::python::PythonError;

// Paths and names in a message come from outside and need not be UTF-8.
py::object text_of(const std::exception& error) {
  return py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
      error.what(), static_cast<py::ssize_t>(std::strlen(error.what())), "replace"));
}

void raise(const char* name, const std::exception& error) {
  const py::object type = py::module_::import("pygpt2edge.errors").attr(name);
  py::set_error(type, text_of(error));
}

// OSError(errno, text) makes Python choose FileNotFoundError, PermissionError and so on.
void raise_os_error(const FileError& error) {
  const py::object type = py::reinterpret_borrow<py::object>(PyExc_OSError);
  const py::object value = type(error.error_number(), text_of(error));
  py::set_error(py::type::of(value), value);
}

void translate(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const FileError& error) {
    raise_os_error(error);
  } catch (const FormatError& error) {
    raise("FormatError", error);
  } catch (const UnsupportedError& error) {
    raise("UnsupportedError", error);
  } catch (const ContextLengthError& error) {
    raise("ContextLengthError", error);
  } catch (const MemoryError& error) {
    py::set_error(PyExc_MemoryError, text_of(error));
  } catch (const PythonError& error) {
    error.raise();
  } catch (const std::bad_alloc&) {
    py::set_error(PyExc_MemoryError,
                  "not enough memory: choose a smaller type, a smaller model or a smaller n_ctx");
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of pygpt2edge. Use the package's public names instead.";
  py::register_exception_translator(translate);
  gpt2edge::python::bind_formats(m);
  gpt2edge::python::bind_checksum(m);
  gpt2edge::python::bind_generate(m);
  gpt2edge::python::bind_machine(m);
  gpt2edge::python::bind_model(m);
  gpt2edge::python::bind_calibrate(m);
  gpt2edge::python::bind_states(m);
  gpt2edge::python::bind_suggest(m);
  gpt2edge::python::bind_text(m);
  gpt2edge::python::bind_tokenizer(m);
  gpt2edge::python::bind_compress(m);
  gpt2edge::python::bind_unicode(m);
}
