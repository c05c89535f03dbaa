// gpt2edge.h for C++: handles that close themselves, and exceptions in place of statuses.
#pragma once

#include <gpt2edge.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace gpt2edge {

struct Error : std::runtime_error {
  explicit Error(gpt2edge_status code) : runtime_error(gpt2edge_error_message()), status(code) {}
  gpt2edge_status status;
};

inline gpt2edge_status checked(gpt2edge_status status) {
  if (status < GPT2EDGE_OK) throw Error(status);
  return status;
}

template <auto close>
struct Closer {
  template <typename T>
  void operator()(T* handle) const {
    close(handle);
  }
};

class Model {
 public:
  explicit Model(const char* path) {
    gpt2edge_model* opened = nullptr;
    checked(gpt2edge_model_open(path, nullptr, &opened));
    handle_.reset(opened);
  }

  gpt2edge_model* get() const { return handle_.get(); }

 private:
  std::unique_ptr<gpt2edge_model, Closer<gpt2edge_model_close>> handle_;
};

// The defaults; fields are set as in C.
struct TextOptions : gpt2edge_text_options {
  TextOptions() { checked(gpt2edge_text_options_init(this, sizeof(gpt2edge_text_options))); }
};

class Text {
 public:
  Text(const Model& model, std::string_view prompt, const TextOptions& options = {}) {
    gpt2edge_text* opened = nullptr;
    checked(gpt2edge_text_open(model.get(), prompt.data(), prompt.size(), &options, &opened));
    handle_.reset(opened);
  }

  // The next piece, valid until the next call, or nothing at the end.
  std::optional<std::string_view> next() {
    gpt2edge_piece piece{};
    piece.size = sizeof piece;
    if (checked(gpt2edge_text_next(handle_.get(), &piece)) == GPT2EDGE_END) return std::nullopt;
    return std::string_view(piece.text, piece.n_text);
  }

 private:
  std::unique_ptr<gpt2edge_text, Closer<gpt2edge_text_close>> handle_;
};

}  // namespace gpt2edge
