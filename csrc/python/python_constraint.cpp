#include "python/python_constraint.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "python/logits_processor.h"

namespace py = pybind11;

namespace gpt2edge::python {
namespace {

py::list as_list(std::span<const int32_t> tokens) {
  return py::cast(std::vector<int32_t>(tokens.begin(), tokens.end()));
}

// ([token ...], is_complete)
Constraint::Forced as_forced(const py::object& result) {
  auto [tokens, is_complete] = result.cast<std::pair<std::vector<int32_t>, bool>>();
  return {std::move(tokens), is_complete};
}

// [bytes ...]: words of 32 bits, as the processor has them.
void add_masks(const py::object& result, std::vector<TokenMask>& masks) {
  for (const py::handle each : result) {
    const auto bytes = each.cast<std::string_view>();
    TokenMask& mask = masks.emplace_back(bytes.size() / sizeof(uint32_t));
    std::memcpy(mask.data(), bytes.data(), mask.size() * sizeof(uint32_t));
  }
}

// Calls a method with the GIL; what it gave is let go of before the GIL is.
template <typename Use>
auto call(const SharedObject& object, const char* name, Use&& use) {
  const py::gil_scoped_acquire gil;
  try {
    return use(object->attr(name));
  } catch (const py::error_already_set& error) {
    throw PythonError(error);
  }
}

class PythonConstraint : public Constraint {
 public:
  explicit PythonConstraint(py::object object)
      : n_repeated_(object.attr("n_repeated").cast<size_t>()), object_(share(std::move(object))) {}

  size_t n_repeated() const override { return n_repeated_; }

  Forced start() override {
    return call(object_, "start", [](const py::object& method) { return as_forced(method()); });
  }

  Forced accept(int32_t token) override {
    has_grown_ = true;
    return call(object_, "accept",
                [&](const py::object& method) { return as_forced(method(token)); });
  }

  size_t count_allowed(std::span<const int32_t> draft) override {
    return call(object_, "count_allowed",
                [&](const py::object& method) { return method(as_list(draft)).cast<size_t>(); });
  }

  void begin_masks(std::span<const int32_t> draft) override {
    if (has_grown_) masks_.clear();
    has_grown_ = false;
    const auto same = std::mismatch(draft_.begin(), draft_.end(), draft.begin(), draft.end()).first;
    masks_.resize(std::min(masks_.size(), static_cast<size_t>(same - draft_.begin()) + 1));
    draft_.assign(draft.begin(), draft.end());
    is_computing_ = masks_.size() <= draft_.size();
    if (!is_computing_) return;
    call(object_, "begin_masks",
         [&](const py::object& method) { return method(as_list(draft), masks_.size()).is_none(); });
  }

  std::string saved() const override {
    return call(object_, "saved",
                [](const py::object& method) { return method().cast<std::string>(); });
  }

  const TokenMask* mask(size_t n) override {
    if (is_computing_) {
      is_computing_ = false;
      call(object_, "masks", [&](const py::object& method) {
        add_masks(method(), masks_);
        return true;
      });
    }
    return n < masks_.size() ? &masks_[n] : nullptr;
  }

 private:
  size_t n_repeated_;
  SharedObject object_;
  bool has_grown_ = false;        // the text, since the masks were begun
  std::vector<int32_t> draft_;    // after the text
  std::vector<TokenMask> masks_;  // after the text, and after tokens of the draft
  bool is_computing_ = false;     // the rest of them
};

}  // namespace

std::unique_ptr<Constraint> python_constraint(py::object object) {
  if (object.is_none()) return nullptr;
  return std::make_unique<PythonConstraint>(std::move(object));
}

MakeConstraint python_constraint_maker(py::object make) {
  if (make.is_none()) return {};
  return [make = share(std::move(make))](const std::string& saved, std::span<const int32_t> prompt,
                                         std::span<const int32_t> tokens) {
    return call(make, "__call__", [&](const py::object& method) {
      return python_constraint(method(py::bytes(saved), as_list(prompt), as_list(tokens)));
    });
  };
}

}  // namespace gpt2edge::python
