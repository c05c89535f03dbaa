#include "compress/text_decoder.h"

#include <utility>

#include "base/error.h"
#include "compress/token_frequencies.h"

namespace gpt2edge {

TextDecoder::TextDecoder(const std::string& name, const TokenizerTables& tables,
                         std::span<const std::byte> code, size_t most_text, IsWhole is_whole)
    : name_(name),
      tables_(tables),
      decoder_(code),
      most_text_(most_text),
      is_whole_(std::move(is_whole)) {
  look_for_end();
}

TextDecoder TextDecoder::of_length(const std::string& name, const TokenizerTables& tables,
                                   std::span<const std::byte> code, size_t n_text) {
  return {name, tables, code, n_text, {}};
}

TextDecoder TextDecoder::until_whole(const std::string& name, const TokenizerTables& tables,
                                     std::span<const std::byte> code, size_t most_text,
                                     IsWhole is_whole) {
  return {name, tables, code, most_text, std::move(is_whole)};
}

void TextDecoder::look_for_end() {
  done_ = is_whole_ ? decoder_.is_at_end() && is_whole_(text_) : text_.size() == most_text_;
}

void TextDecoder::add(std::span<const float> logits, float greatest) {
  const TokenFrequencies frequencies(logits, greatest);
  const auto found = frequencies.at(decoder_.place(frequencies.total()));
  decoder_.accept(found.interval);
  // A model's vocabulary may be padded with ids that are no tokens. A token without text would be
  // no step towards the end.
  const bool is_token = static_cast<size_t>(found.token) < tables_.token_bytes.size();
  const std::string_view bytes = is_token ? token_bytes(tables_, found.token) : std::string_view();
  if (bytes.empty() || bytes.size() > most_text_ - text_.size()) fail();
  tokens_.push_back(found.token);
  text_ += bytes;
  look_for_end();
  // Without this, a length that is a lie would cost the time to decode as much.
  if (done_ ? !decoder_.is_at_end() : decoder_.is_past_end()) fail();
}

void TextDecoder::fail() const { throw FormatError(message(name_, ": ", kDamaged)); }

}  // namespace gpt2edge
