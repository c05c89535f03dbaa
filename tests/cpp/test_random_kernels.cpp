// Kernels over random shapes, against the naive loops:
//
//   build/tests/cpp/test_random_kernels [SECONDS [SEED]]
//
// Each round draws a kernel, a shape, a type and an instruction set. The same seed draws the same
// rounds. Without arguments a few rounds are made.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "check.h"
#include "kernel_checks.h"
#include "kernels/dispatch.h"

namespace gpt2edge::test {
namespace {

const std::vector<TensorType> kFloatTypes = {TensorType::F32, TensorType::F16, TensorType::BF16};
const std::vector<TensorType> kSimple(std::begin(kSimpleTypes), std::end(kSimpleTypes));
const std::vector<TensorType> kNested(std::begin(kNestedTypes), std::end(kNestedTypes));
const std::vector<CacheType> kCaches = {CacheType::kF32, CacheType::kF16, CacheType::kInt8,
                                        CacheType::kInt16};
const std::vector<Epilogue> kEpilogues = {
    Epilogue::kBias, Epilogue::kGeluTanh, Epilogue::kGeluErf, Epilogue::kQuickGelu,
    Epilogue::kSilu, Epilogue::kRelu,     Epilogue::kTanh};

int block_size(TensorType type) { return type_traits(static_cast<uint32_t>(type))->block_size; }

// What a model has: whole blocks of every type that is there, and of the activations' codes.
int width_of(TensorType type, Random& random) {
  const int unit = std::max(32, block_size(type));
  return unit * random.between(1, std::max(2, 640 / unit));
}

void check_round(const KernelTable& table, Random& random) {
  const int n_out = random.between(1, 90), n_rows = random.between(1, 40);
  switch (random.below(8)) {
    case 0:
      return check_matmul(table, random.one_of(kFloatTypes), n_out, random.between(1, 300), n_rows,
                          random);
    case 1: {
      const TensorType type = random.one_of(kSimple);
      return check_matmul(table, type, n_out, width_of(type, random), n_rows, random);
    }
    case 2: {
      const TensorType type = random.one_of(kNested);
      return check_nested_type(table, type, n_out, width_of(type, random), n_rows, random);
    }
    case 3:
      return check_quantize_tile(table, 32 * random.between(1, 50),
                                 random.between(1, table.max_tokens), random);
    case 4:
      return check_matmul_to_codes(table, random.one_of(kEpilogues), 32 * random.between(1, 5),
                                   32 * random.between(1, 10), n_rows, random);
    case 5:
      return check_layer_norm(table, random.between(2, 1600), random);
    case 6:
      return check_heads(table, random.one_of(kCaches), 4 * random.between(1, 40),
                         random.between(1, 300), random.between(2, kMaxQueryTile), random);
    default:
      return check_attention(table, random.one_of(kCaches), 4 * random.between(1, 40),
                             random.between(1, 150), random);
  }
}

}  // namespace
}  // namespace gpt2edge::test

int main(int n_arguments, char** arguments) {
  using namespace gpt2edge::test;
  const bool is_timed = n_arguments > 1;
  const double seconds = is_timed ? std::strtod(arguments[1], nullptr) : 0;
  const auto seed = n_arguments > 2 ? std::strtoul(arguments[2], nullptr, 10) : 1;
  Random random(static_cast<uint32_t>(seed));
  const int fewest = check::is_quick() ? 40 : 300;
  const auto start = std::chrono::steady_clock::now();
  const auto is_over = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() >=
           seconds;
  };
  int n_rounds = 0;
  for (; is_timed ? !is_over() : n_rounds < fewest; ++n_rounds) {
    const int n_before = check::n_failures;
    const auto& tables = gpt2edge::kernels::available_tables();
    const auto& table = *random.one_of(tables);
    check_round(table, random);
    if (check::n_failures == n_before) continue;
    std::printf("round %d of seed %lu, on %s, has failed\n", n_rounds, seed, table.name);
    break;
  }
  std::printf("%d rounds\n", n_rounds);
  return check::done();
}
