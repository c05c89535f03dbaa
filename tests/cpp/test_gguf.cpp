// The GGUF reader against damaged files: none may crash it, and none may make it take much memory.
// Run under -fsanitize=address,undefined this also proves that no read leaves the file.
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "check.h"
#include "gguf_bytes.h"

namespace {

std::atomic<size_t> n_allocated{0};

}  // namespace

void* operator new(size_t size) {
  n_allocated += size;
  if (void* p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace gpt2edge::test {
namespace {

struct Attempt {
  bool accepted;
  size_t allocated;
};

class Scratch : public ScratchFile {
 public:
  Attempt read(const std::string& bytes) const {
    write_file(path(), bytes);
    const size_t before = n_allocated;
    const bool accepted = read_everything(path());
    return {accepted, n_allocated - before};
  }
};

// Messages and the file's own tables, for files as small as these.
constexpr size_t kSmall = 32768;

void test_truncation(const Scratch& scratch) {
  const std::string sound = sound_file();
  CHECK(scratch.read(sound).accepted);
  for (size_t size = 0; size < sound.size(); ++size) {
    const Attempt attempt = scratch.read(sound.substr(0, size));
    CHECK(!attempt.accepted);
    CHECK(attempt.allocated < kSmall);
  }
}

void test_bit_flips(const Scratch& scratch) {
  const std::string sound = sound_file();
  for (size_t bit = 0; bit < 8 * sound.size(); ++bit) {
    std::string bytes = sound;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    CHECK(scratch.read(bytes).allocated < kSmall);
  }
}

void test_random_damage(const Scratch& scratch) {
  const std::string sound = sound_file();
  std::mt19937 random(1);
  const uint64_t tempting[] = {0,          1,          0xFF,       0xFFFFFFFF,
                               1ull << 31, 1ull << 32, 1ull << 61, 1ull << 62,
                               1ull << 63, ~0ull,      ~0ull - 31, ~0ull - 7};
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = sound;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      const size_t at = random() % (bytes.size() - sizeof(uint64_t));
      const uint64_t value = tempting[random() % std::size(tempting)];
      std::memcpy(bytes.data() + at, &value, size_t{1} << random() % 4);
    }
    if (random() % 4 == 0) bytes.erase(random() % bytes.size(), random() % 16);
    CHECK(scratch.read(bytes).allocated < kSmall);
  }
}

// Entries take more memory than file. However many a file has, a few megabytes are the most.
void test_many_entries(const Scratch& scratch) {
  GgufBytes keys, tensors;
  keys.add(uint32_t{0x46554747}).add(uint32_t{3}).add(uint64_t{0}).add(uint64_t{300000});
  tensors.add(uint32_t{0x46554747}).add(uint32_t{3}).add(uint64_t{300000}).add(uint64_t{0});
  for (int i = 0; i < 300000; ++i) {
    keys.key(std::to_string(i), 0).add(uint8_t{0});
    tensors.tensor(std::to_string(i), {1}, TensorType::F32, 0);
  }
  for (const GgufBytes* file : {&keys, &tensors}) {
    const Attempt attempt = scratch.read(file->bytes());
    CHECK(!attempt.accepted);
    CHECK(attempt.allocated < 1 << 20);
  }
}

void test_moves(const Scratch& scratch) {
  write_file(scratch.path(), sound_file());
  GgufFile first = GgufFile::open(scratch.path());
  const GgufFile second = std::move(first);
  CHECK(second.tensor("a.weight").n_rows() == 2);
  CHECK(second.get_string("general.architecture") == "gpt2");
  CHECK(second.get_strings("tokenizer.ggml.tokens").at(2) == "bc");
  CHECK(second.get_integers("types").at(1) == -3);
  CHECK(second.get_u32("gpt2.block_count") == 1);
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  const Scratch scratch;
  test_truncation(scratch);
  test_bit_flips(scratch);
  test_random_damage(scratch);
  test_many_entries(scratch);
  test_moves(scratch);
  return check::done();
}
