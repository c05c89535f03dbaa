// Compression.
#include "compress/compressor.h"

#include "c_api/objects.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

namespace {

Compressor compressor_of(const LoadedModel& loaded) {
  return {loaded.model, loaded.tokenizer, loaded.contexts.positions(*loaded.model)};
}

bool is_message(int32_t form) {
  if (form != GPT2EDGE_COMPRESSED_FILE && form != GPT2EDGE_COMPRESSED_MESSAGE) {
    throw std::invalid_argument(
        message("form is ", form, "; give one of the constants GPT2EDGE_COMPRESSED_..."));
  }
  return form == GPT2EDGE_COMPRESSED_MESSAGE;
}

}  // namespace

gpt2edge_status gpt2edge_compress(gpt2edge_model* model, const void* data, size_t n_data,
                                  int32_t form, void* out, size_t capacity, size_t* n_out) {
  return guarded([&] {
    const auto loaded = Models::get(model);
    const auto given = array_of(static_cast<const char*>(data), n_data, "bytes");
    const std::string_view text(given.data(), given.size());
    const Compressor compressor = compressor_of(*loaded);
    const std::string made = is_message(form) ? compressor.compress_message(text, loaded->interrupt)
                                              : compressor.compress(text, Compressor::kUsualBlock,
                                                                    {}, loaded->interrupt);
    write_array<char>(made, static_cast<char*>(out), capacity, n_out);
  });
}

gpt2edge_status gpt2edge_decompress(gpt2edge_model* model, const void* data, size_t n_data,
                                    int32_t form, void* out, size_t capacity, size_t* n_out) {
  return guarded([&] {
    const auto loaded = Models::get(model);
    const auto bytes = array_of(static_cast<const std::byte*>(data), n_data, "bytes");
    const Compressor compressor = compressor_of(*loaded);
    const std::string text = is_message(form)
                                 ? compressor.decompress_message("data", bytes, loaded->interrupt)
                                 : compressor.decompress("data", bytes, 0, {}, loaded->interrupt);
    write_array<char>(text, static_cast<char*>(out), capacity, n_out);
  });
}
