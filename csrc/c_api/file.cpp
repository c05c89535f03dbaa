// Model files.
#include "base/available_memory.h"
#include "base/thread_count.h"
#include "c_api/model_options.h"
#include "c_api/objects.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

namespace {

gpt2edge_file* kept(GgufFile gguf) {
  return Files::add(std::make_shared<File>(File{std::move(gguf)}));
}

}  // namespace

gpt2edge_status gpt2edge_file_open(const char* path, gpt2edge_file** file) {
  return guarded([&] {
    auto& out = required(file, "the place for the file");
    out = kept(GgufFile::open(&required(path, "the path")));
  });
}

gpt2edge_status gpt2edge_file_open_descriptor(int descriptor, gpt2edge_file** file) {
  return guarded([&] {
    auto& out = required(file, "the place for the file");
    out = kept(GgufFile::open(descriptor, message("descriptor ", descriptor)));
  });
}

gpt2edge_status gpt2edge_file_open_bytes(const void* bytes, size_t n_bytes, gpt2edge_file** file) {
  return guarded([&] {
    auto& out = required(file, "the place for the file");
    const auto given = array_of(static_cast<const std::byte*>(bytes), n_bytes, "bytes");
    out = kept(GgufFile::of_bytes(given, "the model's bytes"));
  });
}

gpt2edge_status gpt2edge_file_close(gpt2edge_file* file) {
  return guarded([&] { Files::close(file); });
}

gpt2edge_status gpt2edge_file_config(gpt2edge_file* file, gpt2edge_config* config) {
  return guarded([&] {
    const auto held = Files::get(file);
    write_struct(config, config_of(read_config(held->gguf), read_tokenizer_tables(held->gguf)),
                 "gpt2edge_config");
  });
}

gpt2edge_status gpt2edge_file_tensor(gpt2edge_file* file, size_t index, gpt2edge_tensor* tensor) {
  return guarded([&] {
    const auto held = Files::get(file);
    const auto& tensors = held->gguf.tensors();
    if (index >= tensors.size()) return static_cast<gpt2edge_status>(GPT2EDGE_END);
    const TensorInfo& info = tensors[index];
    gpt2edge_tensor out{};
    out.name = info.name.c_str();
    out.type = type_traits(static_cast<uint32_t>(info.type))->name;
    out.n_dims = static_cast<int32_t>(info.shape.size());
    for (size_t i = 0; i < info.shape.size(); ++i) {
      out.dims[i] = static_cast<int64_t>(info.shape[i]);
    }
    out.n_bytes = info.n_bytes;
    write_struct(tensor, out, "gpt2edge_tensor");
    return static_cast<gpt2edge_status>(GPT2EDGE_OK);
  });
}

gpt2edge_status gpt2edge_file_memory(gpt2edge_file* file, const gpt2edge_model_options* options,
                                     gpt2edge_memory* memory) {
  return guarded([&] {
    const auto held = Files::get(file);
    const ModelOptions given = read_model_options(options);
    const MemoryNeeds needs = memory_needs(WeightPlan(held->gguf, read_config(held->gguf)),
                                           given.cache, checked_thread_count(given.n_threads));
    write_struct(memory, {0, needs.weights, needs.cache, needs.workspace, available_memory()},
                 "gpt2edge_memory");
  });
}
