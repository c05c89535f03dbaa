// gpt2edge inspect: what a model file holds, without loading it.
#include <cinttypes>
#include <cstdio>
#include <map>

#include "program/arguments.h"
#include "program/program.h"

namespace gpt2edge::program {
namespace {

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

void print_config(gpt2edge_file* file) {
  gpt2edge_config config{};
  config.size = sizeof config;
  checked(gpt2edge_file_config(file, &config));
  std::printf("%d layers of %d, %d heads, %d positions, %d tokens\n", config.n_layer, config.n_embd,
              config.n_head, config.n_ctx, config.n_vocab);
}

void print_types(gpt2edge_file* file) {
  struct Sum {
    int n = 0;
    uint64_t bytes = 0;
  };
  std::map<std::string, Sum> types;
  gpt2edge_tensor tensor{};
  tensor.size = sizeof tensor;
  for (size_t i = 0; checked(gpt2edge_file_tensor(file, i, &tensor)) == GPT2EDGE_OK; ++i) {
    Sum& sum = types[tensor.type];
    ++sum.n;
    sum.bytes += tensor.n_bytes;
  }
  for (const auto& [type, sum] : types) {
    std::printf("%-8s %4d tensors %10.1f MB\n", type.c_str(), sum.n, megabytes(sum.bytes));
  }
}

void print_memory(gpt2edge_file* file, const gpt2edge_model_options& options) {
  gpt2edge_memory memory{};
  memory.size = sizeof memory;
  checked(gpt2edge_file_memory(file, &options, &memory));
  std::printf(
      "memory: %.1f MB of weights, %.1f MB of cache for a full context, %.1f MB of "
      "workspace\n",
      megabytes(memory.weights), megabytes(memory.cache), megabytes(memory.workspace));
}

}  // namespace

int inspect(const std::vector<std::string>& words) {
  gpt2edge_model_options options;
  checked(gpt2edge_model_options_init(&options, sizeof options));
  Arguments arguments(
      "inspect FILE [OPTIONS]",
      "Prints the shape of a model, the types of its tensors, and the memory that it\n"
      "will take.",
      "  gpt2edge inspect gpt2.gguf\n");
  arguments.number("-t, --threads", options.n_threads, "Threads that compute; 0: one per core.");
  arguments.number("-c, --ctx-size", options.n_ctx,
                   "Tokens of the context; 0: as many as the model has.");
  const auto parsed = arguments.parse(words, 1);
  if (parsed.is_help) return 0;
  if (parsed.words.empty()) throw UsageError("give a file");

  gpt2edge_file* file = nullptr;
  checked(gpt2edge_file_open(parsed.words.front().c_str(), &file));
  print_config(file);
  print_types(file);
  print_memory(file, options);
  return 0;
}

}  // namespace gpt2edge::program
