// The state of unfinished texts as bytes, to be resumed exactly.
//
// The bytes are, in this order and little-endian: "p2etext5"; the lengths in bytes of the header
// and of the keys and values (u64 each); the header, as saved_text.cpp writes it; the keys and
// values of each context, a page after the other; and the CRC-32C (u32) of all that stands before.
// They contain no code, and are used only after the checksum and the model's fingerprint match.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "generate/sampling/logprobs.h"
#include "generate/text_options.h"

namespace gpt2edge {

struct SavedText {
  // The model and settings that a text can be resumed with.
  struct Origin {
    uint64_t fingerprint = 0;  // of the model
    std::string model_name;
    kernels::CacheType cache_type{};
    int n_ctx = 0;
    int code_bias = 0;  // what the kernels add to the codes of an int8 cache
  };
  // Keys and values, as Sequence::pages has them: borrowed, in one run of bytes or several.
  struct Context {
    std::vector<int32_t> tokens;
    std::vector<std::span<const std::byte>> pages;
    uint64_t n_bytes() const;
  };

  Origin origin;
  TextOptions options;
  std::vector<int32_t> prompt, tokens;
  std::vector<TopLogprobs> logprobs;
  uint64_t draw_index = 0;  // of the next random number
  // As Constraint::saved gave it; none is empty.
  std::string constraint;
  int64_t n_computed = 0;     // tokens of the text that the contexts are of
  int64_t context_index = 0;  // as in Window::Contexts
  std::vector<Context> contexts;

  // Called with all bytes, front to back.
  using Write = std::function<void(std::span<const std::byte>)>;
  void write(const Write& write) const;
  uint64_t n_bytes() const;

  // What `write` wrote, checked; it borrows from the bytes. `name` is for messages, usually a path.
  // Throws FormatError for bytes that are damaged or no text, and UnsupportedError where the text
  // is bound to something else than `ours`, the code bias aside.
  static SavedText read(const std::string& name, std::span<const std::byte> bytes,
                        const Origin& ours);
};

}  // namespace gpt2edge
