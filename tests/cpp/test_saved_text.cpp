// Texts saved and resumed go on exactly as they would have. Damaged bytes are refused, and hostile
// ones with a right checksum are refused or give some other text: none crashes or takes much
// memory.
#include "generate/saved_text.h"

#include <cstdlib>
#include <new>

#include "check.h"
#include "formats/crc32c.h"
#include "generate/text.h"
#include "tiny_model.h"

namespace {

size_t largest_allocation = 0;  // this program has one thread

}  // namespace

// Not inlined, or GCC takes them for a mismatch of new and free.
[[gnu::noinline]] void* operator new(size_t size) {
  if (size > largest_allocation) largest_allocation = size;
  if (void* p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace gpt2edge::test {
namespace {

constexpr int kContext = 80;
constexpr size_t kLengthsEnd = 24;  // of the beginning and two lengths

struct Setup {
  TinyModel tiny;
  kernels::CacheType type = kernels::CacheType::kF16;
  ContextOptions contexts() const { return {kContext, type}; }
};

TextOptions some_options() {
  TextOptions options;
  options.max_tokens = 60;
  options.ignore_eos = true;
  options.sampling.seed = 9;
  options.sampling.repetition_penalty = 1.2;
  options.sampling.logit_bias = {{4, 0.5f}, {5, -1e30f}};
  options.stop = {"never to come, this", "nor this"};
  options.logprobs = 2;
  return options;
}

// The context slides from all it holds to the first n_first and the last n_last.
TextOptions sliding(int n_last, int n_first) {
  TextOptions options = some_options();
  options.max_tokens = 300;
  options.context_overflow = Overflow::kSlide;
  options.keep = n_first;
  options.discard = kContext - n_first - n_last;
  return options;
}

std::unique_ptr<Text> begin(const Setup& setup, const TextOptions& options) {
  return std::make_unique<Text>(setup.tiny.model, setup.tiny.vocabulary, setup.contexts(),
                                std::vector<int32_t>{1, 2, 3}, options);
}

std::string saved(const Text& text) {
  std::string bytes;
  text.save([&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  CHECK(bytes.size() == text.saved_bytes());
  return bytes;
}

std::unique_ptr<Text> resume(const Setup& setup, const std::string& bytes,
                             std::optional<int64_t> max_tokens = std::nullopt) {
  return Text::resume("text", std::as_bytes(std::span(bytes)), setup.tiny.model,
                      setup.tiny.vocabulary, setup.contexts(), max_tokens, {});
}

bool same(const TextState& a, const TextState& b) {
  bool equal = a.bytes == b.bytes && a.tokens == b.tokens && a.prompt == b.prompt &&
               a.finish_reason == b.finish_reason && a.logprobs.size() == b.logprobs.size();
  for (size_t i = 0; equal && i < a.logprobs.size(); ++i) {
    equal = a.logprobs[i].chosen == b.logprobs[i].chosen &&
            a.logprobs[i].top.size() == b.logprobs[i].top.size();
  }
  return equal;
}

void test_goes_on(const Setup& setup, const TextOptions& options, int step) {
  const auto plain = begin(setup, options);
  plain->run({});
  const TextState expected = plain->state();
  const auto text = begin(setup, options);
  for (int64_t n = 0; n < *options.max_tokens; n += step) {
    const auto resumed = resume(setup, saved(*text));
    CHECK(resumed->state().tokens == text->state().tokens);
    CHECK(resumed->state().bytes == text->state().bytes);
    // Saved again after some tokens more.
    for (int64_t i = 0; i < n % 30; ++i) resumed->next({});
    const auto again = resumed->finished() ? nullptr : resume(setup, saved(*resumed));
    resumed->run({});
    CHECK(same(resumed->state(), expected));
    if (again != nullptr) {
      again->run({});
      CHECK(same(again->state(), expected));
    }
    for (int i = 0; i < step; ++i) text->next({});
  }
}

// Also of a text whose pass, or change of contexts, was interrupted.
void test_interrupted(const Setup& setup, const TextOptions& options) {
  struct Stop {};
  const auto plain = begin(setup, options), text = begin(setup, options);
  plain->run({});
  int n_calls = 0;
  while (!text->finished()) {
    try {
      text->next([&] {
        if (++n_calls % 4 == 0) throw Stop();
      });
    } catch (const Stop&) {
      const auto resumed = resume(setup, saved(*text));
      CHECK(resumed->state().tokens == text->state().tokens);
      if (n_calls % 20 != 0) continue;
      resumed->run({});
      CHECK(same(resumed->state(), plain->state()));
    }
  }
  CHECK(same(text->state(), plain->state()));
}

void test_more_tokens(const Setup& setup) {
  TextOptions options = some_options();
  const auto plain = begin(setup, options);
  plain->run({});
  options.max_tokens = 10;
  const auto text = begin(setup, options);
  text->run({});
  const std::string bytes = saved(*text);
  const auto more = resume(setup, bytes, 50);
  more->run({});
  CHECK(same(more->state(), plain->state()));
  for (const auto& max_tokens : {std::optional<int64_t>(), std::optional<int64_t>(0)}) {
    const auto none = resume(setup, bytes, max_tokens);
    CHECK(!none->next({}) && none->state().tokens.size() == 10);
  }
  const auto most = resume(setup, bytes, INT64_MAX);
  CHECK(most->next({}).has_value());
  for (const int64_t n : {int64_t{-1}, int64_t{-10}, INT64_MIN}) {
    CHECK(throws<std::invalid_argument>([&] { resume(setup, bytes, n); }));
  }
}

void test_other_models(const Setup& setup) {
  const auto text = begin(setup, some_options());
  for (int i = 0; i < 5; ++i) text->next({});
  const std::string bytes = saved(*text);
  const auto is_unsupported = [&](const TinyModel& tiny, const ContextOptions& contexts) {
    return throws<UnsupportedError>([&] {
      Text::resume("text", std::as_bytes(std::span(bytes)), tiny.model, tiny.vocabulary, contexts,
                   std::nullopt, {});
    });
  };
  CHECK(is_unsupported(setup.tiny, {kContext - 1, setup.type}));
  CHECK(is_unsupported(setup.tiny, {kContext, kernels::CacheType::kF32}));
  CHECK(is_unsupported(tiny_model({.n_ctx = 100, .n_vocab = 50, .seed = 2}), setup.contexts()));
}

// ---- damage ----

bool is_refused(const Setup& setup, const std::string& bytes) {
  try {
    resume(setup, bytes);
  } catch (const FormatError&) {
    return true;
  } catch (const UnsupportedError&) {
    return true;
  }
  return false;
}

std::string some_bytes(const Setup& setup, const TextOptions& options, int n) {
  const auto text = begin(setup, options);
  for (int i = 0; i < n; ++i) text->next({});
  return saved(*text);
}

void test_damage(const Setup& setup) {
  const std::string sound = some_bytes(setup, some_options(), 5);
  CHECK(!is_refused(setup, sound));
  for (size_t at = 0; at < sound.size(); at += at < 1000 && !check::is_quick() ? 1 : 37) {
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    CHECK(is_refused(setup, bytes));
    CHECK(is_refused(setup, sound.substr(0, at)));
  }
  CHECK(is_refused(setup, sound + "x") && is_refused(setup, sound.substr(1)));
}

// ---- hostile headers ----

uint64_t number_at(const std::string& bytes, size_t at) {
  uint64_t n = 0;
  std::memcpy(&n, bytes.data() + at, sizeof n);
  return n;
}

size_t header_end(const std::string& bytes) {
  return kLengthsEnd + static_cast<size_t>(number_at(bytes, 8));
}

// The lengths and the checksum are made right.
std::string with_header(const std::string& sound, const std::string& header) {
  std::string bytes = sound.substr(0, 8);
  const uint64_t n_header = header.size();
  bytes.append(reinterpret_cast<const char*>(&n_header), sizeof n_header);
  bytes += sound.substr(16, 8) + header;
  bytes += sound.substr(header_end(sound), sound.size() - header_end(sound) - 4);
  const uint32_t crc = crc32c(0, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return bytes.append(reinterpret_cast<const char*>(&crc), sizeof crc);
}

// Refused, or a text that goes on, or says in a plain exception why it does not.
void try_hostile(const Setup& setup, const std::string& bytes) {
  constexpr size_t kMost = size_t{1} << 20;
  largest_allocation = 0;
  try {
    const auto text = resume(setup, bytes);
    try {
      for (int i = 0; i < 3; ++i) text->next({});
      text->max_pages();
      text->state();
    } catch (const std::invalid_argument&) {
    } catch (const std::runtime_error&) {
    }
    CHECK(true);
  } catch (const FormatError& error) {
    CHECK(std::string(error.what()).starts_with("text: "));
  } catch (const UnsupportedError& error) {
    CHECK(std::string(error.what()).starts_with("text: "));
  }
  CHECK(largest_allocation < kMost);
}

void test_hostile(const Setup& setup, const TextOptions& options, int n, uint32_t seed) {
  const std::string sound = some_bytes(setup, options, n);
  const std::string header = sound.substr(kLengthsEnd, header_end(sound) - kLengthsEnd);
  CHECK(with_header(sound, header) == sound);
  Random random(seed);
  const size_t step = check::is_quick() ? 11 : 1;
  for (size_t at = 0; at < header.size(); at += step) {
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF}) {
      std::string other = header;
      if (other[at] == static_cast<char>(value)) continue;
      other[at] = static_cast<char>(value);
      try_hostile(setup, with_header(sound, other));
    }
  }
  for (int i = 0; i < 500; i += static_cast<int>(step)) {
    std::string other = header;
    const auto anywhere = [&] {
      return static_cast<size_t>(random.below(static_cast<int>(other.size())));
    };
    switch (random.below(4)) {
      case 0:  // a number that is all ones, the largest, or the least
        for (size_t at = anywhere(), k = 0; k < 8 && at + k < other.size(); ++k) {
          other[at + k] = static_cast<char>(i % 3 == 0 || k < 7 ? 0xFF : i % 3 == 1 ? 0x7F : 0x80);
        }
        break;
      case 1:
        other.resize(anywhere());
        break;
      case 2:
        other.insert(anywhere(), 1 + anywhere() % 9, static_cast<char>(random.below(256)));
        break;
      default:
        break;
    }
    for (int k = random.below(4); k > 0 && !other.empty(); --k) {
      other[anywhere()] = static_cast<char>(random.below(256));
    }
    try_hostile(setup, with_header(sound, other));
  }
}

// Keys and values are not believed to be numbers either.
void test_hostile_pages(const Setup& setup) {
  std::string sound = some_bytes(setup, sliding(20, 7), 90);
  const std::string header = sound.substr(kLengthsEnd, header_end(sound) - kLengthsEnd);
  for (size_t at = header_end(sound); at < sound.size(); ++at) sound[at] = '\xFF';
  try_hostile(setup, with_header(sound, header));
}

// ---- the code bias ----

// An int8 cache of kernels that add 128 to codes, for some that do not, or the other way round.
void test_other_code_bias(const TinyModel& tiny) {
  constexpr auto kInt8 = kernels::CacheType::kInt8;
  const std::vector<int32_t> tokens = Random(6).tokens(70, 50), more = {5};
  Sequence first(tiny.model, 100, kInt8), second(tiny.model, 100, kInt8);
  const Sequence::Part part{&first, tokens};
  Sequence::append({&part, 1}, {});
  std::string pages;
  for (const std::byte* page : first.pages()) {
    pages.append(reinterpret_cast<const char*>(page), first.page_bytes());
  }
  // Each layer has the codes of 64 keys of every head and as many values, then the scales of both.
  const auto n_head = static_cast<size_t>(tiny.model->config().n_head);
  const size_t d_head = static_cast<size_t>(tiny.model->config().d_head());
  const size_t n_codes = n_head * 2 * 64 * d_head;
  const size_t n_layer = n_codes + n_head * 2 * 64 * sizeof(float);
  CHECK(first.page_bytes() % n_layer == 0);
  for (size_t at = 0; at < pages.size(); ++at) {
    if (at % n_layer < n_codes) pages[at] = static_cast<char>(pages[at] ^ 0x80);
  }
  second.restore(tokens, std::as_bytes(std::span(pages)), 128 - tiny.model->kernels().code_bias);
  const Sequence::Part next[] = {{&first, more}, {&second, more}};
  Sequence::append(next, {});
  CHECK(same_bits(first.logits_after(71).all, second.logits_after(71).all));
}

// Files and other processors know the same sums.
void test_checksums() {
  const std::string known = "123456789";  // RFC 3720, B.4, has others
  std::vector<uint8_t> bytes(known.begin(), known.end());
  CHECK(crc32c(0, bytes.data(), bytes.size()) == 0xE3069283u);
  CHECK(crc32c_by_tables(0, bytes.data(), bytes.size()) == 0xE3069283u);
  bytes.resize(3 * 4096 + 100);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i >> 3);
  for (const size_t n : {0, 1, 7, 8, 9, 4095, 4096, 4097, 3 * 4096 + 77}) {
    const uint32_t sum = crc32c(5, bytes.data() + 3, n);
    CHECK(sum == crc32c_by_tables(5, bytes.data() + 3, n));
    CHECK(sum == crc32c(crc32c(5, bytes.data() + 3, n / 3), bytes.data() + 3 + n / 3, n - n / 3));
  }
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  test_checksums();
  Setup setup{tiny_model({.n_ctx = 100, .n_vocab = 50})};
  for (const auto type :
       {gpt2edge::kernels::CacheType::kF32, gpt2edge::kernels::CacheType::kF16,
        gpt2edge::kernels::CacheType::kInt8, gpt2edge::kernels::CacheType::kInt16}) {
    setup.type = type;
    test_goes_on(setup, some_options(), check::is_quick() ? 20 : 7);
    test_goes_on(setup, sliding(30, 5), check::is_quick() ? 150 : 23);
  }
  if (!check::is_quick()) test_goes_on(setup, sliding(15, 64), 29);
  test_goes_on(setup, sliding(1, 0), check::is_quick() ? 150 : 31);
  test_interrupted(setup, sliding(30, 5));
  if (!check::is_quick()) test_interrupted(setup, sliding(5, 70));
  test_more_tokens(setup);
  test_other_models({setup.tiny});
  test_other_code_bias(tiny_model({.n_ctx = 100, .n_vocab = 50, .n_layer = 2}));
  setup.type = gpt2edge::kernels::CacheType::kInt8;
  test_damage(setup);
  test_hostile(setup, some_options(), 5, 1);
  test_hostile(setup, sliding(20, 7), 90, 2);
  test_hostile_pages(setup);
  setup.type = gpt2edge::kernels::CacheType::kInt16;
  test_hostile_pages(setup);
  return check::done();
}
