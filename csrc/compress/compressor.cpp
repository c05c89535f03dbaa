#include "compress/compressor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/available_memory.h"
#include "base/error.h"
#include "compress/blocks.h"
#include "compress/compressed_file.h"

namespace gpt2edge {
namespace {

// ---- the message form: 16 bits of a checksum of the model's fingerprint and the text, high byte
// first, then the text's code, or 0xFF and the text itself. A text ends where its code does and has
// that checksum ----

constexpr size_t kMessageHead = 2;
constexpr char kStored = '\xFF';

uint32_t message_checksum(uint64_t fingerprint, std::string_view text) {
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = std::bit_cast<std::array<char, sizeof fingerprint>>(fingerprint);
  return text_checksum(text, text_checksum({bytes.data(), bytes.size()})) & 0xFFFF;
}

using IsWhole = TextDecoder::IsWhole;

// Whether what follows the head reads as a text that is stored.
bool is_stored(std::string_view rest, const IsWhole& is_whole) {
  return rest.starts_with(kStored) && is_whole(rest.substr(1));
}

// Whether the code could end after fewer of its tokens, with a text that passes for the whole: one
// of the same checksum.
bool ends_early(const CodedTokens& coded, std::span<const int32_t> tokens,
                const TokenizerTables& tables, std::string_view text, const IsWhole& is_whole) {
  RangeDecoder decoder(std::as_bytes(std::span(coded.code)));
  size_t n_bytes = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (decoder.is_at_end() && is_whole(text.substr(0, n_bytes))) return true;
    decoder.accept(coded.intervals[i]);
    n_bytes += token_bytes(tables, tokens[i]).size();
  }
  return false;
}

void check_model(const std::string& name, const CompressedFile& file, const Model& model) {
  if (file.fingerprint != model.fingerprint()) {
    throw UnsupportedError(message(name, ": was compressed with another model, of fingerprint ",
                                   std::hex, file.fingerprint, " and not ", model.fingerprint(),
                                   " as ", model.file_name(), ": load that one"));
  }
  if (file.n_ctx < 1 || file.n_ctx > model.config().n_ctx) {
    throw FormatError(message(name, ": has contexts of ", file.n_ctx, " tokens, expected 1 to ",
                              model.config().n_ctx, ": it is damaged"));
  }
}

}  // namespace

Compressor::Compressor(std::shared_ptr<Model> model, std::shared_ptr<const Tokenizer> tokenizer,
                       int n_ctx)
    : model_(std::move(model)), tokenizer_(std::move(tokenizer)), n_ctx_(n_ctx) {
  with_context(n_ctx).check();
}

CodingModel Compressor::with_context(int n_ctx) const {
  return {model_, n_ctx, start_token(*tokenizer_->tables())};
}

// The code of a text; the text itself, or something longer, where there is no shorter one.
std::string Compressor::code_of(const CodingModel& coding, std::string_view text,
                                const std::function<void(size_t n_bytes)>& progress,
                                const Interrupt& interrupt) const {
  const auto tokens = tokenizer_->encode_bytes(text);
  if (!tokens) return std::string(text);
  size_t n_tokens = 0, n_bytes = 0;
  const auto on_tokens = [&](size_t n) {
    for (; n_tokens < n; ++n_tokens) {
      n_bytes += token_bytes(*tokenizer_->tables(), (*tokens)[n_tokens]).size();
    }
    if (progress) progress(n_bytes);
  };
  return encode_tokens(coding, *tokens, text.size(), interrupt, on_tokens).code;
}

std::string Compressor::compress(std::string_view text, size_t block_size,
                                 const CompressionProgress& progress,
                                 const Interrupt& interrupt) const {
  if (block_size < CompressedFile::kLeastBlock || block_size > CompressedFile::kMostBlock) {
    throw std::invalid_argument(message("block_size is ", block_size, ", expected ",
                                        CompressedFile::kLeastBlock, " to ",
                                        CompressedFile::kMostBlock));
  }
  CompressedFile file;
  file.fingerprint = model_->fingerprint();
  file.n_ctx = n_ctx_;
  const CodingModel coding = with_context(n_ctx_);
  const auto blocks = split_into_blocks(text, block_size);
  std::vector<std::string> codes;
  codes.reserve(blocks.size());
  uint64_t done = 0;
  for (const std::string_view block : blocks) {
    const auto on_bytes = [&](size_t n) {
      if (progress) progress(done + n, text.size());
    };
    codes.push_back(code_of(coding, block, on_bytes, interrupt));
    std::string& code = codes.back();
    if (code.size() >= block.size()) code = block;
    file.blocks.push_back({static_cast<uint32_t>(block.size()), text_checksum(block),
                           std::as_bytes(std::span(code))});
    done += block.size();
    if (progress) progress(done, text.size());
  }
  return file.bytes();
}

// Not more than make a difference: with fewer at a time, as many rounds may be enough.
int Compressor::chosen_parallel(const CodingModel& coding, int n_parallel, size_t n_blocks) const {
  if (n_parallel > 0) return n_parallel;
  const uint64_t n_fit = available_memory() / 2 / bytes_of_context(coding);
  const auto most = static_cast<size_t>(std::clamp<uint64_t>(n_fit, 1, kUsualParallel));
  const size_t n_rounds = std::max<size_t>(1, (n_blocks + most - 1) / most);
  return static_cast<int>(std::max<size_t>(1, (n_blocks + n_rounds - 1) / n_rounds));
}

std::string Compressor::decompress(const std::string& name, std::span<const std::byte> bytes,
                                   int n_parallel, const CompressionProgress& progress,
                                   const Interrupt& interrupt) const {
  if (n_parallel < 0) {
    throw std::invalid_argument(message("n_parallel is ", n_parallel, ", expected 0 or more"));
  }
  const CompressedFile file = CompressedFile::read(name, bytes);
  check_model(name, file, *model_);
  const CodingModel coding = with_context(file.n_ctx);
  std::vector<TextDecoder> decoders;
  uint64_t n_coded = 0;
  for (const auto& block : file.blocks) {
    if (block.is_stored()) continue;
    decoders.push_back(
        TextDecoder::of_length(name, *tokenizer_->tables(), block.code, block.n_text));
    n_coded += block.n_text;
  }
  const uint64_t n_stored = file.n_text() - n_coded;
  const auto on_bytes = [&](uint64_t n) {
    if (progress) progress(n_stored + n, file.n_text());
  };
  on_bytes(0);
  decode_texts(coding, decoders, chosen_parallel(coding, n_parallel, decoders.size()), interrupt,
               on_bytes);

  std::string text;
  text.reserve(static_cast<size_t>(file.n_text()));
  auto decoder = decoders.begin();
  for (size_t i = 0; i < file.blocks.size(); ++i) {
    const auto& block = file.blocks[i];
    const std::string_view part = block.is_stored() ? as_text(block.code) : (decoder++)->text();
    if (text_checksum(part) != block.checksum) {
      throw FormatError(
          message(name, ": block ", i, " has not the text of its checksum: ", kDamaged));
    }
    text += part;
  }
  return text;
}

std::string Compressor::compress_message(std::string_view text, const Interrupt& interrupt) const {
  if (text.size() > kMostMessage) {
    throw std::invalid_argument(message("a message has at most ", kMostMessage, " bytes, and this ",
                                        text.size(), ": compress it as a file"));
  }
  const uint32_t head = message_checksum(model_->fingerprint(), text);
  const auto is_whole = [&](std::string_view other) {
    return message_checksum(model_->fingerprint(), other) == head;
  };
  const auto tokens = tokenizer_->encode_bytes(text);
  CodedTokens coded;
  if (tokens) {
    coded =
        encode_tokens(with_context(model_->config().n_ctx), *tokens, text.size(), interrupt, {});
  }
  const bool has_code = tokens && coded.code.size() <= text.size() &&
                        !is_stored(coded.code, is_whole) &&
                        !ends_early(coded, *tokens, *tokenizer_->tables(), text, is_whole);
  const std::string out{static_cast<char>(head >> 8), static_cast<char>(head & 0xFF)};
  return has_code ? out + coded.code : (out + kStored).append(text);
}

std::string Compressor::decompress_message(const std::string& name,
                                           std::span<const std::byte> bytes,
                                           const Interrupt& interrupt) const {
  if (bytes.size() < kMessageHead) {
    throw FormatError(message(name, ": ", bytes.size(), " bytes are no message, which has ",
                              kMessageHead, " or more"));
  }
  const auto head = std::to_integer<uint32_t>(bytes[0]) << 8 | std::to_integer<uint32_t>(bytes[1]);
  const auto is_whole = [&](std::string_view text) {
    return message_checksum(model_->fingerprint(), text) == head;
  };
  const auto rest = bytes.subspan(kMessageHead);
  if (is_stored(as_text(rest), is_whole)) return std::string(as_text(rest.subspan(1)));
  TextDecoder decoder =
      TextDecoder::until_whole(name, *tokenizer_->tables(), rest, kMostMessage, is_whole);
  decode_texts(with_context(model_->config().n_ctx), {&decoder, 1}, 1, interrupt, {});
  return decoder.text();
}

}  // namespace gpt2edge
