// A model of each weight type, with each type of cache, comes to the bits that are noted here: on
// every processor, with every instruction set that it has, by every compiler. A change of the
// arithmetic changes them all; then the printed ones are the new ones.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "check.h"
#include "equal_bits.h"
#include "generate/drafting/speculation.h"
#include "generate/text.h"
#include "generate/window.h"
#include "kernels/dispatch.h"
#include "tiny_model.h"

namespace gpt2edge::test {
namespace {

using kernels::CacheType;

constexpr int kContext = 66;  // more than a page

// FNV-1a, of what is added, byte for byte.
class Digest {
 public:
  void add(std::span<const float> numbers) { add_bytes(std::as_bytes(numbers)); }
  void add(std::span<const int32_t> tokens) { add_bytes(std::as_bytes(tokens)); }
  uint64_t value() const { return value_; }

 private:
  void add_bytes(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      value_ = (value_ ^ static_cast<uint64_t>(byte)) * 0x100000001B3;
    }
  }
  uint64_t value_ = 0xCBF29CE484222325;
};

void choose_kernels(const char* name) {
#if defined(_WIN32)
  _putenv_s("GPT2EDGE_ISA", name);
#else
  setenv("GPT2EDGE_ISA", name, 1);
#endif
}

// Wide enough for the blocks of its type, and no wider: an emulated processor computes it, too.
Shape shape_of(TensorType type) {
  const int width = std::max(32, type_traits(static_cast<uint32_t>(type))->block_size);
  Shape shape{.n_ctx = kContext, .n_vocab = 60, .n_embd = width, .n_inner = width, .type = type};
  if (width == 32) shape.n_layer = 2;
  return shape;
}

TextOptions options_of(int64_t n, uint64_t seed) {
  TextOptions options;
  options.max_tokens = n;
  options.ignore_eos = true;
  options.sampling.seed = seed;
  return options;
}

// The logits after each token of a prompt, and of its parts.
void add_prompt(const TinyModel& tiny, CacheType cache, std::span<const int32_t> prompt,
                Digest& digest) {
  const auto n_vocab = static_cast<size_t>(tiny.model->config().n_vocab);
  std::vector<float> whole(prompt.size() * n_vocab), split(whole.size());
  Sequence at_once(tiny.model, kContext, cache), by_parts(tiny.model, kContext, cache);
  const Sequence::Part all{&at_once, prompt, 1, whole.data()};
  Sequence::append({&all, 1}, {});
  digest.add(whole);
  if (check::is_quick()) return;
  for (size_t first = 0, n = 1; first < prompt.size(); first += n, n = 2 * n + 1) {
    const auto tokens = prompt.subspan(first, std::min(n, prompt.size() - first));
    const Sequence::Part part{&by_parts, tokens, 1, split.data() + first * n_vocab};
    Sequence::append({&part, 1}, {});
  }
  CHECK(same_bits(whole, split));
}

// The logits of a text that outgrows its context.
void add_endless(const TinyModel& tiny, CacheType cache, std::span<const int32_t> text,
                 Digest& digest) {
  Window window(tiny.model, {24, cache}, {true, 3, 12});
  for (size_t n = 5; n <= text.size(); n += 5) {
    window.append(text.first(n), 1, {});
    digest.add(window.logits_after(window.length()).all);
  }
}

std::unique_ptr<Speculation> drafts(const TinyModel& tiny) {
  SpeculationOptions options;
  options.prompt_lookup = true;
  options.min_draft = 3;
  return make_speculation(options, *tiny.model, *tiny.vocabulary, {});
}

// The tokens of texts in a batch, one of which drafts.
void add_texts(const TinyModel& tiny, CacheType cache, int64_t n, Digest& digest) {
  const ContextOptions contexts{0, cache};
  const std::vector<int32_t> repeats = {1, 2, 3, 1, 2, 3, 1, 2};
  std::vector<std::unique_ptr<Text>> texts;
  std::vector<Text*> all;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    TextOptions options = options_of(n, seed);
    if (seed == 2) options.sampling.temperature = 0.2;
    texts.push_back(std::make_unique<Text>(tiny.model, tiny.vocabulary, contexts, repeats, options,
                                           seed == 2 ? drafts(tiny) : nullptr));
    all.push_back(texts.back().get());
  }
  const auto is_running = [&] {
    return std::any_of(all.begin(), all.end(), [](Text* text) { return !text->finished(); });
  };
  while (is_running()) Text::step(all, {});
  Text alone(tiny.model, tiny.vocabulary, contexts, repeats, texts[2]->options());
  alone.run({});
  CHECK(alone.state().tokens == texts[2]->state().tokens);
  for (const Text* text : all) digest.add(const_cast<Text*>(text)->state().tokens);
}

uint64_t digest_of(TensorType type) {
  const Shape shape = shape_of(type);
  const TinyModel tiny = tiny_model(shape, check::is_quick() ? 1 : 2);
  const std::vector<int32_t> tokens = Random(7).tokens(kContext, shape.n_vocab);
  Digest digest;
  if (shape.n_embd > 32) {  // what types differ in is how a matrix is read
    add_prompt(tiny, CacheType::kInt8, std::span(tokens).first(5), digest);
    return digest.value();
  }
  for (const CacheType cache : {CacheType::kF16, CacheType::kInt8, CacheType::kInt16}) {
    add_prompt(tiny, cache, tokens, digest);
    add_endless(tiny, cache, std::span(tokens).first(40), digest);
    add_texts(tiny, cache, 12, digest);
  }
  return digest.value();
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  for (const auto* table : gpt2edge::kernels::available_tables()) {
    if (check::is_quick() && table != gpt2edge::kernels::available_tables().front()) break;
    choose_kernels(table->name);
    for (const auto& [type, expected] : kExpectedDigests) {
      const uint64_t found = digest_of(type);
      const char* name = gpt2edge::type_traits(static_cast<uint32_t>(type))->name;
      std::printf("%s %s: 0x%016" PRIX64 "\n", table->name, name, found);
      CHECK(found == expected);
    }
  }
  return check::done();
}
