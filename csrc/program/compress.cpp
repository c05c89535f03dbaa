// gpt2edge compress and decompress: a text to few bytes, and back.
#include <cstdio>

#include "base/mapped_file.h"
#include "base/output_file.h"
#include "program/arguments.h"
#include "program/program.h"

namespace gpt2edge::program {
namespace {

using Convert = gpt2edge_status (*)(gpt2edge_model*, const void*, size_t, int32_t, void*, size_t,
                                    size_t*);

struct CompressOptions {
  std::string model, output;
  int32_t is_message = 0, n_threads = 0;
};

std::string read_all(const std::string& path) {
  if (path == "-") return text_or_stdin(path);
  const MappedFile file(path);
  return file.checked(path, [&file] {
    const auto bytes = file.bytes();
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
}

void write_all(const std::string& path, const std::string& bytes) {
  if (path.empty() || path == "-") return write(bytes.data(), bytes.size());
  OutputFile file(path);
  file.write(std::as_bytes(std::span(bytes)));
  file.finish();
}

// With room for what most results need, and again with what this one does.
std::string converted(Convert convert, const CompressOptions& options, const std::string& data,
                      size_t room) {
  gpt2edge_model* const model = open_model(options.model, options.n_threads, 0);
  std::string out(room, '\0');
  size_t n = 0;
  const auto call = [&] {
    return convert(model, data.data(), data.size(), options.is_message, out.data(), out.size(), &n);
  };
  gpt2edge_status status = call();
  if (status == GPT2EDGE_ERROR_BUFFER) {
    out.resize(n);
    status = call();
  }
  checked(status);
  out.resize(n);
  return out;
}

int convert_file(const std::vector<std::string>& words, Arguments arguments, Convert convert,
                 size_t (*room)(size_t n)) {
  CompressOptions options;
  arguments.text("-m, --model", options.model, "The model: a GGUF file.");
  arguments.text("-o, --output", options.output, "The file to write; standard output if none.");
  arguments.flag("--message", options.is_message, "The shortest form, for up to 65,536 bytes.");
  arguments.number("-t, --threads", options.n_threads, "Threads that compute; 0: one per core.");
  const auto parsed = arguments.parse(words, 1);
  if (parsed.is_help) return 0;
  const std::string data = read_all(parsed.words.empty() ? "-" : parsed.words.front());
  write_all(options.output, converted(convert, options, data, room(data.size())));
  return 0;
}

}  // namespace

int compress(const std::vector<std::string>& words) {
  return convert_file(
      words,
      {"compress [FILE] -m MODEL [OPTIONS]",
       "Compresses a file, or standard input, by a model's predictions, without loss.",
       "  gpt2edge compress book.txt -m gpt2.gguf -o book.p2z\n"},
      gpt2edge_compress, [](size_t n) { return n + n / 1024 + 64; });
}

int decompress(const std::vector<std::string>& words) {
  constexpr size_t kUsualRatio = 20;
  return convert_file(
      words,
      {"decompress [FILE] -m MODEL [OPTIONS]",
       "Decompresses what `compress` made with the same model, on whatever machine.",
       "  gpt2edge decompress book.p2z -m gpt2.gguf -o book.txt\n"},
      gpt2edge_decompress, [](size_t n) { return kUsualRatio * n + 65536; });
}

}  // namespace gpt2edge::program
