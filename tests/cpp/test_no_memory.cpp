// Every allocation of every call of the C API fails once. The call says so, nothing has changed,
// and the same call comes to what it would have come to.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "c_api/gpt2edge.h"
#include "check.h"
#include "tiny_model.h"

#if defined(__linux__) && defined(__LP64__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

// Allocations of any thread until one fails; below zero, none does.
std::atomic<long> n_until_failure{-1};
std::atomic<long> n_failures{0};

bool fails() {
  if (n_until_failure < 0 || n_until_failure.fetch_sub(1) != 0) return false;
  ++n_failures;
  return true;
}

void* allocated(std::size_t size, std::size_t alignment) {
  if (fails()) throw std::bad_alloc();
  void* out = nullptr;
#if defined(_WIN32)
  out = _aligned_malloc(std::max<std::size_t>(size, 1), alignment);
#else
  if (posix_memalign(&out, std::max(alignment, sizeof(void*)), size) != 0) out = nullptr;
#endif
  if (out == nullptr) throw std::bad_alloc();
  return out;
}

void freed(void* address) {
#if defined(_WIN32)
  _aligned_free(address);
#else
  std::free(address);
#endif
}

}  // namespace

// The other forms call these.
void* operator new(std::size_t size) { return allocated(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocated(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* address) noexcept { freed(address); }
void operator delete(void* address, std::size_t) noexcept { freed(address); }
void operator delete(void* address, std::align_val_t) noexcept { freed(address); }
void operator delete(void* address, std::size_t, std::align_val_t) noexcept { freed(address); }

#if defined(__linux__) && defined(__LP64__)
// What weights, caches and files take straight from the system.
extern "C" void* mmap(void* address, size_t size, int protection, int flags, int file,
                      off_t offset) {
  if (fails()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(  // NOLINT(performance-no-int-to-ptr)
      syscall(SYS_mmap, address, size, protection, flags, file, offset));
}
#endif

namespace {

constexpr int kVocab = 300;
long n_injected = 0;

// What an action returns when nothing fails. Before, it is called with each of its allocations
// failing.
template <typename Action>
gpt2edge_status in_spite_of_failures(const Action& action) {
  for (long i = 0;; i += check::is_quick() ? 1 + i / 4 : 1) {
    n_until_failure = i;
    n_failures = 0;
    const gpt2edge_status status = action();
    n_until_failure = -1;
    if (n_failures == 0) return status;
    ++n_injected;
    // Memory for a file's mapping is the system's error of that file.
    const bool is_said = status == GPT2EDGE_ERROR_MEMORY || status == GPT2EDGE_ERROR_FILE;
    // What could be done without is no error.
    if (status >= 0) return status;
    if (!CHECK(is_said)) std::printf("status %d: %s\n", status, gpt2edge_error_message());
    CHECK(std::strlen(gpt2edge_error_message()) > 0);
  }
}

bool has_ended(gpt2edge_text* text) {
  gpt2edge_text_state state{};
  state.size = sizeof state;
  CHECK(gpt2edge_text_get_state(text, &state) == GPT2EDGE_OK);
  return state.finished != 0;
}

std::string bytes_of(gpt2edge_text* text) {
  std::string out(1000, ' ');
  size_t n = 0;
  CHECK(gpt2edge_text_bytes(text, out.data(), out.size(), &n) == GPT2EDGE_OK);
  return out.substr(0, n);
}

// Goes on to the end, and closes it.
std::string whole(gpt2edge_text* text) {
  CHECK(gpt2edge_text_run(text, nullptr, nullptr) == GPT2EDGE_OK);
  const std::string out = bytes_of(text);
  CHECK(gpt2edge_text_close(text) == GPT2EDGE_OK);
  return out;
}

struct Results {
  std::string text, words, packed, unpacked;
  std::vector<int32_t> tokens;
  std::vector<float> logprobs, attention, logits;
  bool operator==(const Results&) const = default;
};

// One of everything, each call made by `call`.
template <typename Call>
class Scenario {
 public:
  Scenario(const std::string& model, const std::string& saved, const Call& call)
      : model_path_(model), saved_path_(saved), call_(call) {}

  Results results() {
    open_model();
    write_text();
    look_at_tokens();
    append_tokens();
    suggest();
    compress();
    CHECK(gpt2edge_model_close(model_) == GPT2EDGE_OK);
    return out_;
  }

 private:
  template <typename Action>
  void expect_ok(const Action& action) {
    const gpt2edge_status status = call_(action);
    if (!CHECK(status == GPT2EDGE_OK)) {
      std::printf("status %d: %s\n", status, gpt2edge_error_message());
    }
  }

  void open_model() {
    gpt2edge_file* file = nullptr;
    gpt2edge_model_options options;
    gpt2edge_model_options_init(&options, sizeof options);
    options.n_threads = 2;
    expect_ok([&] { return gpt2edge_file_open(model_path_.c_str(), &file); });
    gpt2edge_config config{};
    config.size = sizeof config;
    expect_ok([&] { return gpt2edge_file_config(file, &config); });
    gpt2edge_memory memory{};
    memory.size = sizeof memory;
    expect_ok([&] { return gpt2edge_file_memory(file, &options, &memory); });
    expect_ok([&] { return gpt2edge_model_load(file, &options, &model_); });
    CHECK(gpt2edge_file_close(file) == GPT2EDGE_OK);
  }

  gpt2edge_text* opened_text() {
    gpt2edge_text_options options;
    gpt2edge_text_options_init(&options, sizeof options);
    const char* const stop = "never";
    options.stop = &stop;
    options.n_stop = 1;
    options.logprobs = 2;
    options.has_seed = 1;
    options.seed = 7;
    options.max_tokens = 90;  // more than a page of the cache
    options.dry_multiplier = 0.5;
    gpt2edge_text* text = nullptr;
    expect_ok([&] { return gpt2edge_text_open(model_, "Once upon a time", 16, &options, &text); });
    return text;
  }

  void write_text() {
    gpt2edge_text* const text = opened_text();
    for (int i = 0; i < 60; ++i) {
      gpt2edge_piece piece{};
      piece.size = sizeof piece;
      CHECK(gpt2edge_text_next(text, &piece) == GPT2EDGE_OK);
    }
    expect_ok([&] { return gpt2edge_text_save(text, saved_path_.c_str()); });
    gpt2edge_text* resumed = nullptr;
    expect_ok([&] { return gpt2edge_text_resume(model_, saved_path_.c_str(), -1, &resumed); });
    out_.text = whole(text);
    CHECK(whole(resumed) == out_.text);
  }

  void look_at_tokens() {
    const std::string text = "a text of which the tokens are looked at";
    size_t n = 0;
    out_.tokens.resize(100);
    expect_ok([&] {
      return gpt2edge_encode(model_, text.data(), text.size(), 0, out_.tokens.data(), 100, &n);
    });
    out_.tokens.resize(n);
    std::string bytes(100, ' ');
    expect_ok([&] {
      return gpt2edge_decode(model_, out_.tokens.data(), n, bytes.data(), bytes.size(), &n);
    });
    CHECK(bytes.substr(0, n) == text);
    out_.logprobs.resize(out_.tokens.size());
    expect_ok([&] {
      return gpt2edge_score(model_, out_.tokens.data(), out_.tokens.size(), out_.logprobs.data());
    });
    const std::vector<int32_t> layers = {0};
    out_.attention.resize(2 * out_.tokens.size() * out_.tokens.size());
    expect_ok([&] {
      return gpt2edge_attention(model_, out_.tokens.data(), out_.tokens.size(), layers.data(), 1,
                                out_.attention.data(), out_.attention.size(), &n);
    });
  }

  void append_tokens() {
    gpt2edge_session *session = nullptr, *fork = nullptr;
    expect_ok([&] { return gpt2edge_session_open(model_, &session); });
    const gpt2edge_part part{session, out_.tokens.data(), out_.tokens.size(), nullptr};
    expect_ok([&] { return gpt2edge_session_append(&part, 1); });
    expect_ok([&] { return gpt2edge_session_fork(session, &fork); });
    const gpt2edge_part both[] = {{session, out_.tokens.data(), 1, nullptr},
                                  {fork, out_.tokens.data(), out_.tokens.size(), nullptr}};
    expect_ok([&] { return gpt2edge_session_append(both, 2); });
    out_.logits.resize(kVocab);
    size_t n = 0;
    expect_ok([&] { return gpt2edge_session_logits(fork, out_.logits.data(), kVocab, &n); });
    CHECK(gpt2edge_session_close(session) == GPT2EDGE_OK);
    CHECK(gpt2edge_session_close(fork) == GPT2EDGE_OK);
  }

  void suggest() {
    gpt2edge_suggester* suggester = nullptr;
    const gpt2edge_word* words = nullptr;
    size_t n = 0;
    expect_ok([&] { return gpt2edge_suggester_open(model_, &suggester); });
    for (const std::string text : {"the wea", "the weather is"}) {
      expect_ok(
          [&] { return gpt2edge_suggest(suggester, text.data(), text.size(), 3, &words, &n); });
      for (size_t i = 0; i < n; ++i) out_.words += std::string(words[i].word) + ",";
    }
    CHECK(gpt2edge_suggester_close(suggester) == GPT2EDGE_OK);
  }

  void compress() {
    const std::string text = "It was the best of times, it was the worst of times.";
    size_t n = 0;
    out_.packed.resize(text.size() + 64);
    expect_ok([&] {
      return gpt2edge_compress(model_, text.data(), text.size(), GPT2EDGE_COMPRESSED_FILE,
                               out_.packed.data(), out_.packed.size(), &n);
    });
    out_.packed.resize(n);
    out_.unpacked.resize(text.size());
    expect_ok([&] {
      return gpt2edge_decompress(model_, out_.packed.data(), n, GPT2EDGE_COMPRESSED_FILE,
                                 out_.unpacked.data(), out_.unpacked.size(), &n);
    });
    CHECK(out_.unpacked == text);
  }

  std::string model_path_, saved_path_;
  const Call& call_;
  gpt2edge_model* model_ = nullptr;
  Results out_;
};

template <typename Call>
Results results(const std::string& model, const std::string& saved, const Call& call) {
  return Scenario<Call>(model, saved, call).results();
}

// A step of a text, as of the file, that fails: it goes on as if nothing had been, or has ended
// with that error, after a beginning of what it would have written.
bool step_survives(gpt2edge_model* model, const std::string& saved, const std::string& expected,
                   long n_before_failure) {
  gpt2edge_text* text = nullptr;
  CHECK(gpt2edge_text_resume(model, saved.c_str(), -1, &text) == GPT2EDGE_OK);
  gpt2edge_piece piece{};
  piece.size = sizeof piece;
  n_until_failure = n_before_failure;
  n_failures = 0;
  const gpt2edge_status status = gpt2edge_text_next(text, &piece);
  n_until_failure = -1;
  const bool has_failed = n_failures > 0;
  CHECK(status == GPT2EDGE_OK || (has_failed && status == GPT2EDGE_ERROR_MEMORY));
  if (status == GPT2EDGE_OK || !has_ended(text)) {
    CHECK(whole(text) == expected);
    return has_failed;
  }
  CHECK(gpt2edge_text_next(text, &piece) == GPT2EDGE_ERROR_MEMORY);
  CHECK(expected.find(bytes_of(text)) == 0);
  CHECK(gpt2edge_text_close(text) == GPT2EDGE_OK);
  return true;
}

void test_steps(const std::string& path, const std::string& saved, const std::string& expected) {
  gpt2edge_model* model = nullptr;
  CHECK(gpt2edge_model_open(path.c_str(), nullptr, &model) == GPT2EDGE_OK);
  long i = 0;
  while (step_survives(model, saved, expected, i)) i += check::is_quick() ? 1 + i / 4 : 1;
  CHECK(i > 5);
  CHECK(gpt2edge_model_close(model) == GPT2EDGE_OK);
}

}  // namespace

int main() {
  const gpt2edge::test::ScratchFile model, saved;
  gpt2edge::test::write_file(model.path(), gpt2edge::test::tiny_gguf({.n_vocab = kVocab}));
  const auto call = [](const auto& action) { return action(); };
  const auto disturbed = [](const auto& action) { return in_spite_of_failures(action); };
  const Results expected = results(model.path(), saved.path(), call);
  CHECK(results(model.path(), saved.path(), disturbed) == expected);
  CHECK(n_injected > 100);
  test_steps(model.path(), saved.path(), expected.text);
  std::printf("%ld allocations failed\n", n_injected);
  return check::done();
}
