#include "generate/saved_text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "formats/byte_writer.h"
#include "formats/crc32c.h"
#include "formats/gguf_cursor.h"

namespace gpt2edge {
namespace {

constexpr std::string_view kMagic = "p2etext5";
constexpr size_t kLengthsEnd = kMagic.size() + 2 * sizeof(uint64_t);
constexpr int64_t kNone = -1;
constexpr int32_t kNone32 = -1;

std::string_view cache_type_name(uint32_t type) {
  constexpr std::array<std::string_view, 4> kNames = {"f32", "f16", "int8", "int16"};
  return type < kNames.size() ? kNames[type] : "of another kind";
}

uint32_t checksum(uint32_t crc, std::span<const std::byte> bytes) {
  return crc32c(crc, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

// ---- the header, in the order of its fields ----

void write_origin(ByteWriter& out, const SavedText::Origin& origin) {
  out.add(origin.fingerprint);
  out.add_string(origin.model_name);
  out.add(static_cast<uint32_t>(origin.cache_type));
  out.add(int32_t{origin.n_ctx});
  out.add(int32_t{origin.code_bias});
}

// The code bias may be another one: the pages of a context are changed to ours as they are read.
SavedText::Origin read_origin(Cursor& in, const SavedText::Origin& ours) {
  SavedText::Origin origin = ours;
  origin.fingerprint = in.read<uint64_t>("the model's fingerprint");
  origin.model_name = in.read_string("the model's name");
  if (origin.fingerprint != ours.fingerprint) {
    in.fail_unsupported(
        message("was saved with another model (", quoted(origin.model_name), "): load that one"));
  }
  const auto type = in.read<uint32_t>("kv_type");
  if (type != static_cast<uint32_t>(ours.cache_type)) {
    in.fail_unsupported(message("was saved with kv_type '", cache_type_name(type),
                                "'; load the model with that, not '",
                                cache_type_name(static_cast<uint32_t>(ours.cache_type)), "'"));
  }
  origin.n_ctx = in.read<int32_t>("n_ctx");
  if (origin.n_ctx != ours.n_ctx) {
    in.fail_unsupported(message("was saved with n_ctx ", origin.n_ctx,
                                "; load the model with that, not ", ours.n_ctx));
  }
  origin.code_bias = in.read<int32_t>("code_bias");
  return origin;
}

// ---- one option, of whatever type ----

void write_option(ByteWriter& out, double value) { out.add(value); }
void write_option(ByteWriter& out, int32_t value) { out.add(value); }
void write_option(ByteWriter& out, uint64_t value) { out.add(value); }
void write_option(ByteWriter& out, const std::string& value) { out.add_string(value); }
void write_option(ByteWriter& out, const std::pair<int32_t, float>& value) {
  out.add(value.first);
  out.add(value.second);
}
void write_option(ByteWriter& out, const std::optional<int32_t>& token) {
  out.add(token.value_or(kNone32));
}
template <typename T>
void write_option(ByteWriter& out, const std::vector<T>& values) {
  out.add(uint64_t{values.size()});
  for (const T& value : values) write_option(out, value);
}

uint64_t read_count(Cursor& in, uint64_t least, const char* what) {
  const auto n = in.read<uint64_t>(what);
  in.check_count(n, least, what);
  return n;
}

void read_option(Cursor& in, const char* name, double& value) { value = in.read<double>(name); }
void read_option(Cursor& in, const char* name, int32_t& value) { value = in.read<int32_t>(name); }
void read_option(Cursor& in, const char* name, uint64_t& value) { value = in.read<uint64_t>(name); }
void read_option(Cursor& in, const char* name, std::string& value) {
  value = std::string(in.read_string(name));
}
void read_option(Cursor& in, const char* name, std::pair<int32_t, float>& value) {
  value.first = in.read<int32_t>(name);
  value.second = in.read<float>(name);
}
void read_option(Cursor& in, const char* name, std::optional<int32_t>& token) {
  const auto value = in.read<int32_t>(name);
  token = value == kNone32 ? std::nullopt : std::optional(value);
}
template <typename T>
void read_option(Cursor& in, const char* name, std::vector<T>& values) {
  constexpr uint64_t kLeast = std::is_same_v<T, int32_t> ? 4 : 8;  // bytes of each
  values.clear();
  for (auto n = read_count(in, kLeast, name); n > 0; --n) {
    read_option(in, name, values.emplace_back());
  }
}

// ---- the options ----

void write_options(ByteWriter& out, const TextOptions& options) {
  out.add(options.max_tokens.value_or(kNone));
  each_sampler_option([&](const char*, auto field) { write_option(out, options.sampling.*field); });
  write_option(out, options.stop);
  out.add(int32_t{options.logprobs});
  out.add(static_cast<uint8_t>(options.ignore_eos));
  out.add(static_cast<uint8_t>(options.context_overflow));
  out.add(int32_t{options.keep});
  out.add(int32_t{options.discard.value_or(kNone32)});
}

TextOptions read_options(Cursor& in) {
  TextOptions options;
  const auto max_tokens = in.read<int64_t>("max_tokens");
  if (max_tokens == kNone) {
    options.max_tokens = std::nullopt;
  } else {
    options.max_tokens = max_tokens;
  }
  each_sampler_option(
      [&](const char* name, auto field) { read_option(in, name, options.sampling.*field); });
  read_option(in, "stop", options.stop);
  options.logprobs = in.read<int32_t>("logprobs");
  options.ignore_eos = in.read<uint8_t>("ignore_eos") != 0;
  const auto overflow = in.read<uint8_t>("context_overflow");
  if (overflow > static_cast<uint8_t>(Overflow::kSlide)) {
    in.fail(message("context_overflow is ", int{overflow}, ", expected 0 to 2"));
  }
  options.context_overflow = Overflow{overflow};
  options.keep = in.read<int32_t>("keep");
  const auto discard = in.read<int32_t>("discard");
  if (discard != kNone32) options.discard = discard;
  return options;
}

std::vector<int32_t> read_tokens(Cursor& in, const char* what) {
  const auto n = static_cast<size_t>(read_count(in, sizeof(int32_t), what));
  std::vector<int32_t> tokens(n);
  const std::byte* bytes = in.take(n * sizeof(int32_t), what);
  if (n > 0) std::memcpy(tokens.data(), bytes, n * sizeof(int32_t));
  return tokens;
}

void write_logprobs(ByteWriter& out, std::span<const TopLogprobs> logprobs) {
  out.add(uint64_t{logprobs.size()});
  for (const TopLogprobs& logprob : logprobs) {
    out.add(logprob.chosen);
    out.add(uint64_t{logprob.top.size()});
    for (const TokenLogprob& top : logprob.top) {
      out.add(top.token);
      out.add(top.logprob);
    }
  }
}

std::vector<TopLogprobs> read_logprobs(Cursor& in) {
  std::vector<TopLogprobs> logprobs;
  for (auto n = read_count(in, 12, "the number of log-probabilities"); n > 0; --n) {
    TopLogprobs& logprob = logprobs.emplace_back();
    logprob.chosen = in.read<float>("a log-probability");
    for (auto n_top = read_count(in, 8, "the number of likely tokens"); n_top > 0; --n_top) {
      const auto token = in.read<int32_t>("a likely token");
      logprob.top.push_back({token, in.read<float>("its log-probability")});
    }
  }
  return logprobs;
}

void write_header(ByteWriter& out, const SavedText& text) {
  write_origin(out, text.origin);
  write_options(out, text.options);
  out.add_numbers(text.prompt);
  out.add_numbers(text.tokens);
  write_logprobs(out, text.logprobs);
  out.add(text.draw_index);
  out.add_string(text.constraint);
  out.add(text.n_computed);
  out.add(text.context_index);
  out.add(uint64_t{text.contexts.size()});
  for (const auto& context : text.contexts) out.add_numbers(context.tokens);
  for (const auto& context : text.contexts) out.add(context.n_bytes());
}

// The contexts' pages are `pages`, one behind the other.
SavedText read_header(Cursor& in, const SavedText::Origin& ours, std::span<const std::byte> pages) {
  SavedText text;
  text.origin = read_origin(in, ours);
  text.options = read_options(in);
  text.prompt = read_tokens(in, "the prompt");
  text.tokens = read_tokens(in, "the tokens");
  text.logprobs = read_logprobs(in);
  text.draw_index = in.read<uint64_t>("the number of the next draw");
  text.constraint = std::string(in.read_string("the constraint"));
  text.n_computed = in.read<int64_t>("the number of computed tokens");
  text.context_index = in.read<int64_t>("the number of the context");
  for (auto n = read_count(in, 8, "the number of contexts"); n > 0; --n) {
    text.contexts.push_back({read_tokens(in, "a context"), {}});
  }
  for (auto& context : text.contexts) {
    const auto n_bytes = in.read<uint64_t>("the size of a context");
    if (n_bytes > pages.size()) {
      in.fail(message("a context of ", n_bytes, " bytes, and there are ", pages.size()));
    }
    context.pages.push_back(pages.first(static_cast<size_t>(n_bytes)));
    pages = pages.subspan(static_cast<size_t>(n_bytes));
  }
  if (in.remaining() > 0 || !pages.empty()) {
    in.fail("has more bytes than its header and its contexts: save the text again");
  }
  return text;
}

// ---- all bytes ----

struct Parts {
  std::span<const std::byte> header, pages;
};

Parts checked_parts(const std::string& name, std::span<const std::byte> bytes) {
  Cursor in(name, bytes);
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min(bytes.size(), kMagic.size()));
  if (start != kMagic) {
    if (start.starts_with(kMagic.substr(0, kMagic.size() - 1))) {
      in.fail_unsupported("a saved text of another version of pygpt2edge");
    }
    in.fail(message("not a saved text: it does not begin with '", kMagic, "'"));
  }
  if (bytes.size() < kLengthsEnd) {
    in.fail(message("ends within its first ", kLengthsEnd, " bytes: save the text again"));
  }
  in.take(kMagic.size(), "its beginning");
  const auto n_header = in.read<uint64_t>("the header's length");
  const auto n_pages = in.read<uint64_t>("the length of the keys and values");
  const uint64_t n_rest = bytes.size() - kLengthsEnd;
  const bool fits = n_rest >= sizeof(uint32_t) && n_header <= n_rest - sizeof(uint32_t) &&
                    n_pages == n_rest - sizeof(uint32_t) - n_header;
  if (!fits) {
    in.fail(message("has ", bytes.size(),
                    " bytes, and its header says otherwise: it is damaged "
                    "or cut short; save the text again"));
  }
  const auto checked = bytes.first(bytes.size() - sizeof(uint32_t));
  if (checksum(0, checked) != load<uint32_t>(checked.data() + checked.size())) {
    in.fail("its checksum is wrong: it is damaged; save the text again");
  }
  const auto n = static_cast<size_t>(n_header);
  return {checked.subspan(kLengthsEnd, n), checked.subspan(kLengthsEnd + n)};
}

uint64_t page_bytes(const SavedText& text) {
  uint64_t n = 0;
  for (const auto& context : text.contexts) n += context.n_bytes();
  return n;
}

}  // namespace

uint64_t SavedText::Context::n_bytes() const {
  uint64_t n = 0;
  for (const auto& page : pages) n += page.size();
  return n;
}

uint64_t SavedText::n_bytes() const {
  ByteWriter header;
  write_header(header, *this);
  return kLengthsEnd + header.bytes().size() + page_bytes(*this) + sizeof(uint32_t);
}

void SavedText::write(const Write& write) const {
  ByteWriter header;
  write_header(header, *this);
  ByteWriter lengths;
  lengths.add(uint64_t{header.bytes().size()});
  lengths.add(page_bytes(*this));

  uint32_t crc = 0;
  const auto put = [&](std::span<const std::byte> bytes) {
    crc = checksum(crc, bytes);
    write(bytes);
  };
  put(std::as_bytes(std::span(kMagic)));
  put(lengths.bytes());
  put(header.bytes());
  for (const Context& context : contexts) {
    for (const auto& page : context.pages) put(page);
  }
  write(std::as_bytes(std::span(&crc, 1)));
}

SavedText SavedText::read(const std::string& name, std::span<const std::byte> bytes,
                          const Origin& ours) {
  const auto [header, pages] = checked_parts(name, bytes);
  Cursor in(name, header);
  return read_header(in, ours, pages);
}

}  // namespace gpt2edge
