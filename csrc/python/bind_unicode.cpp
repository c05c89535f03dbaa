// The core's idea of characters, to be compared with tiktoken's.
#include "python/bindings.h"
#include "tokenize/unicode_classes.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

const char* class_name(uint32_t code) {
  switch (character_class(code)) {
    case CharacterClass::kLetter:
      return "letter";
    case CharacterClass::kMark:
      return "mark";
    case CharacterClass::kNumber:
      return "number";
    case CharacterClass::kSpace:
      return "space";
    case CharacterClass::kOther:
      break;
  }
  return "other";
}

}  // namespace

void bind_unicode(py::module_& m) { m.def("character_class", &class_name, py::arg("code")); }

}  // namespace gpt2edge::python
