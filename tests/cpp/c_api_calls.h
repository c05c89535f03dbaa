// Bytes as a sequence of calls of the C library: all its functions, with handles that are open,
// closed, null or garbage, and with arguments in and out of range. Every call gives a status, every
// failure a line, and no call fails for a reason of the library's own.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "c_api/gpt2edge.h"
#include "tiny_model.h"

namespace gpt2edge::test {

constexpr int kMostTokens = 40;  // of a text

// Choices, from the first byte on; 0 where there are no more.
class Choices {
 public:
  explicit Choices(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool is_at_end() const { return bytes_.empty(); }
  size_t below(size_t n) {
    if (bytes_.empty()) return 0;
    const size_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte % n;
  }
  bool one_of(size_t n) { return below(n) == n - 1; }
  template <typename T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  int32_t integer() {
    return of<int32_t>({0, 1, 2, 3, 5, 20, 40, 199, 300, -1, -2, INT32_MIN, INT32_MAX});
  }
  double number() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return of<double>({0, 0.1, 0.5, 0.9, 1, 1.5, 2, 20, -0.0, -0.5, -1, -2, 1e300, 1e-300,
                       kInfinity, -kInfinity, std::nan("")});
  }
  std::string text() {
    std::string out;
    for (size_t n = below(24); n > 0; --n) out += static_cast<char>(below(256));
    return of<std::string>(
        {out, "", "Once upon a time", "the wea", "<|endoftext|>", "\xC3", "a a a"});
  }
  std::vector<int32_t> tokens() {
    std::vector<int32_t> out(of<size_t>({0, 1, 2, 5, 30, 199, 200, 201}));
    const bool is_sound = !one_of(5);
    for (int32_t& token : out) token = is_sound ? static_cast<int32_t>(below(60)) : integer();
    return out;
  }
  // A size in a struct or the capacity of an array; mostly the right one.
  size_t size(size_t right) {
    return one_of(8) ? of<size_t>({0, 1, 4, right / 2, right - 8, right + 8, 5000, SIZE_MAX})
                     : right;
  }

 private:
  std::span<const uint8_t> bytes_;
};

// A struct with room behind it, for sizes that a later version of it may have.
template <typename T>
struct Roomy {
  T value{};
  std::array<char, 4096> rest{};
};

// What calls of one or several threads work with. Handles stay in the lists after they are closed.
class CallWorld {
 public:
  explicit CallWorld(bool is_shared) : is_shared_(is_shared) {}
  ~CallWorld() { close_all(); }
  CallWorld(const CallWorld&) = delete;
  CallWorld& operator=(const CallWorld&) = delete;

  // Of all worlds so far.
  static size_t n_calls() { return n_calls_; }

  void run(std::span<const uint8_t> bytes) {
    Choices choices(bytes);
    while (!choices.is_at_end()) call(choices);
  }

  // Another thread's part: ends texts that are under way.
  void cancel_some(Choices choices) {
    while (!choices.is_at_end()) checked(gpt2edge_text_cancel(texts_.pick(choices)));
  }

 private:
  template <typename Handle>
  class HandleList {
   public:
    void add(Handle* handle) {
      const std::lock_guard lock(mutex_);
      handles_.push_back(handle);
    }
    Handle* pick(Choices& choices) {
      const size_t kind = choices.below(32);
      const std::lock_guard lock(mutex_);
      if (kind == 0) return nullptr;
      if (kind == 1) return garbage(choices);
      return handles_.empty() ? nullptr : handles_[choices.below(handles_.size())];
    }
    std::vector<Handle*> all() {
      const std::lock_guard lock(mutex_);
      return handles_;
    }
    size_t size() {
      const std::lock_guard lock(mutex_);
      return handles_.size();
    }

   private:
    // Small numbers, an address, and neighbours of a handle.
    Handle* garbage(Choices& choices) {
      const auto last = handles_.empty() ? 0 : reinterpret_cast<uintptr_t>(handles_.back());
      return reinterpret_cast<Handle*>(choices.of<uintptr_t>(
          {1, 2, UINTPTR_MAX, last + 1, last - 1, reinterpret_cast<uintptr_t>(this)}));
    }
    std::mutex mutex_;
    std::vector<Handle*> handles_;
  };

  [[noreturn]] static void fail(gpt2edge_status status) {
    std::fprintf(stderr, "status %d: %s\n", status, gpt2edge_error_message());
    std::abort();
  }

  static gpt2edge_status checked(gpt2edge_status status) {
    ++n_calls_;
    if (status > GPT2EDGE_END || status <= GPT2EDGE_ERROR_INTERNAL) fail(status);
    const std::string message = gpt2edge_error_message();
    if (status < 0 && (message.empty() || message.find('\n') != message.npos)) fail(status);
    return status;
  }

  void call(Choices& choices) {
    using Call = void (CallWorld::*)(Choices&);
    static constexpr Call kCalls[] = {
        &CallWorld::open_file,      &CallWorld::look_at_file,   &CallWorld::open_model,
        &CallWorld::open_model,     &CallWorld::open_text,      &CallWorld::open_text,
        &CallWorld::open_text,      &CallWorld::next_piece,     &CallWorld::next_piece,
        &CallWorld::next_piece,     &CallWorld::run_text,       &CallWorld::step_texts,
        &CallWorld::step_texts,     &CallWorld::take_piece,     &CallWorld::look_at_text,
        &CallWorld::save_text,      &CallWorld::resume_text,    &CallWorld::open_session,
        &CallWorld::append,         &CallWorld::append,         &CallWorld::look_at_session,
        &CallWorld::change_session, &CallWorld::look_at_tokens, &CallWorld::look_at_model,
        &CallWorld::open_suggester, &CallWorld::suggest,        &CallWorld::close};
    (this->*kCalls[choices.below(std::size(kCalls))])(choices);
  }

  // ---- files and models ----

  static const std::string& sound_file(bool is_large) {
    static const std::string small = tiny_gguf({});
    static const std::string large = tiny_gguf({.n_vocab = 300, .n_layer = 2, .seed = 2});
    return is_large ? large : small;
  }
  static constexpr size_t kMostVocab = 300;

  // Bytes that live as long as this does; damaged ones now and then.
  const std::string& file_bytes(Choices& choices) {
    const std::string& sound = sound_file(choices.one_of(4));
    if (!choices.one_of(6)) return sound;
    std::string damaged = sound;
    for (size_t n = 1 + choices.below(4); n > 0; --n) {
      const size_t place = choices.below(256) * 256 + choices.below(256);
      damaged[place % damaged.size()] = static_cast<char>(choices.below(256));
    }
    if (choices.one_of(4)) damaged.resize(damaged.size() * choices.below(256) / 256);
    const std::lock_guard lock(mutex_);
    return damaged_.emplace_back(std::move(damaged));
  }

  void open_file(Choices& choices) {
    if (files_.size() > 8) return;
    gpt2edge_file* file = nullptr;
    gpt2edge_status status;
    switch (choices.below(8)) {
      case 0:
        status =
            gpt2edge_file_open(choices.of<const char*>({nullptr, "", "/", "no such file"}), &file);
        break;
      case 1:
        status = gpt2edge_file_open_descriptor(choices.of({-1, 1 << 20}), &file);
        break;
      case 2:
        status = gpt2edge_file_open_bytes(nullptr, choices.below(2), &file);
        break;
      default: {
        const std::string& bytes = file_bytes(choices);
        status = gpt2edge_file_open_bytes(bytes.data(), bytes.size(), &file);
      }
    }
    if (checked(status) == GPT2EDGE_OK) files_.add(file);
  }

  // Null where the struct's size leaves that field out.
  static int32_t interrupt(void* user) {
    auto* const left = static_cast<std::atomic<int32_t>*>(user);
    return left != nullptr && left->fetch_sub(1) == 1;  // once, after so many calls
  }

  const gpt2edge_model_options* model_options(Choices& choices,
                                              Roomy<gpt2edge_model_options>& room) {
    gpt2edge_model_options& options = room.value;
    checked(gpt2edge_model_options_init(&options, sizeof options));
    options.size = choices.size(sizeof options);
    options.n_threads = choices.of({1, 1, 2, 2, 3, -1, 1025, INT32_MAX});
    if (choices.one_of(3)) options.n_ctx = choices.integer();
    if (choices.one_of(3)) options.kv_type = choices.of({0, 1, 2, 3, 4, -1});
    if (choices.one_of(3)) {
      interrupts_left_ = static_cast<int32_t>(choices.below(100));
      options.interrupt = interrupt;
      options.user = &interrupts_left_;
    }
    return choices.one_of(8) ? nullptr : &options;
  }

  void look_at_file(Choices& choices) {
    gpt2edge_file* const file = files_.pick(choices);
    Roomy<gpt2edge_config> config;
    config.value.size = choices.size(sizeof config.value);
    checked(gpt2edge_file_config(file, &config.value));
    Roomy<gpt2edge_tensor> tensor;
    tensor.value.size = choices.size(sizeof tensor.value);
    checked(
        gpt2edge_file_tensor(file, choices.of<size_t>({0, 1, 5, 100, SIZE_MAX}), &tensor.value));
    Roomy<gpt2edge_model_options> options;
    Roomy<gpt2edge_memory> memory;
    memory.value.size = choices.size(sizeof memory.value);
    checked(gpt2edge_file_memory(file, model_options(choices, options), &memory.value));
  }

  void open_model(Choices& choices) {
    if (models_.size() > 3) return;
    gpt2edge_file* file = nullptr;
    const std::string& bytes = file_bytes(choices);
    if (checked(gpt2edge_file_open_bytes(bytes.data(), bytes.size(), &file)) == GPT2EDGE_OK) {
      files_.add(file);
    }
    Roomy<gpt2edge_model_options> options;
    gpt2edge_model* model = nullptr;
    const auto* const given = model_options(choices, options);
    if (checked(gpt2edge_model_load(file, given, &model)) == GPT2EDGE_OK) models_.add(model);
    if (choices.one_of(8)) {
      const auto* const path = choices.of<const char*>({nullptr, "", "no such file"});
      checked(gpt2edge_model_open(path, given, choices.one_of(2) ? nullptr : &model));
    }
  }

  void look_at_model(Choices& choices) {
    gpt2edge_model* const model = models_.pick(choices);
    Roomy<gpt2edge_config> config;
    config.value.size = choices.size(sizeof config.value);
    checked(gpt2edge_model_config(model, &config.value));
    const auto tokens = choices.tokens();
    std::vector<float> out(tokens.size());
    checked(gpt2edge_score(model, tokens.data(), tokens.size(), out.data()));
    std::vector<int32_t> layers(choices.below(4));
    for (int32_t& layer : layers) layer = choices.one_of(5) ? choices.integer() : 0;
    size_t n = 0;
    const auto attend = [&] {
      return checked(gpt2edge_attention(model, tokens.data(), tokens.size(), layers.data(),
                                        layers.size(), out.data(), out.size(), &n));
    };
    const size_t n_most = size_t{1} << 20;
    if (attend() == GPT2EDGE_ERROR_BUFFER && n < n_most) {
      out.resize(n);
      attend();
    }
  }

  void look_at_tokens(Choices& choices) {
    gpt2edge_model* const model = models_.pick(choices);
    const std::string text = choices.text();
    std::vector<int32_t> ids(choices.below(30));
    size_t n = 0;
    checked(gpt2edge_encode(model, text.data(), text.size(), static_cast<int32_t>(choices.below(2)),
                            choices.one_of(4) ? nullptr : ids.data(), ids.size(), &n));
    const auto tokens = choices.tokens();
    std::vector<char> bytes(choices.below(200));
    checked(gpt2edge_decode(model, tokens.data(), tokens.size(),
                            choices.one_of(4) ? nullptr : bytes.data(), bytes.size(),
                            choices.one_of(8) ? nullptr : &n));
  }

  // ---- texts ----

  // Null where the struct's size leaves that field out.
  static void change_logits(void* user, float* logits, size_t n_vocab, const int32_t* tokens,
                            size_t n_tokens) {
    const size_t kind = user == nullptr ? 0 : *static_cast<const size_t*>(user);
    const size_t last = n_tokens > 0 ? static_cast<size_t>(tokens[n_tokens - 1]) : 0;
    logits[last % n_vocab] += 3.0f;
    if (kind == 1) std::fill_n(logits, n_vocab, -INFINITY);
    if (kind == 2) std::fill_n(logits, n_vocab, INFINITY);
  }

  // The arrays that options point to, which are needed until the text is made.
  struct TextArguments {
    Roomy<gpt2edge_text_options> room;
    std::vector<int32_t> tokens;
    std::vector<gpt2edge_logit_bias> bias;
    std::array<std::string, 3> strings;
    std::array<const char*, 3> addresses{};
  };

  const gpt2edge_text_options* text_options(Choices& choices, TextArguments& given) {
    gpt2edge_text_options& options = given.room.value;
    checked(gpt2edge_text_options_init(&options, sizeof options));
    options.size = choices.size(sizeof options);
    options.max_tokens = static_cast<int64_t>(choices.below(kMostTokens));
    for (size_t i = 0; i < given.strings.size(); ++i) {
      given.strings[i] = choices.one_of(4) ? choices.text() : "stop";
      given.addresses[i] = given.strings[i].c_str();
    }
    if (choices.one_of(8)) given.addresses[choices.below(3)] = nullptr;
    given.tokens = choices.tokens();
    for (size_t n = choices.below(5); n > 0; --n) {
      given.bias.push_back({choices.integer(), static_cast<float>(choices.number())});
    }
    for (size_t n = choices.below(6); n > 0; --n) change_option(choices, given, options);
    // A text that slides has no end of its own.
    const bool is_endless = options.max_tokens < 0 || options.max_tokens > kMostTokens;
    if (options.context_overflow == GPT2EDGE_OVERFLOW_SLIDE && is_endless) {
      options.max_tokens = 5 * kMostTokens;
    }
    return choices.one_of(16) ? nullptr : &options;
  }

  void change_option(Choices& choices, TextArguments& given, gpt2edge_text_options& options) {
    static constexpr double gpt2edge_text_options::* kNumbers[] = {
        &gpt2edge_text_options::max_time,
        &gpt2edge_text_options::temperature,
        &gpt2edge_text_options::top_p,
        &gpt2edge_text_options::min_p,
        &gpt2edge_text_options::typical_p,
        &gpt2edge_text_options::xtc_probability,
        &gpt2edge_text_options::xtc_threshold,
        &gpt2edge_text_options::repetition_penalty,
        &gpt2edge_text_options::frequency_penalty,
        &gpt2edge_text_options::presence_penalty,
        &gpt2edge_text_options::dry_multiplier,
        &gpt2edge_text_options::dry_base};
    static constexpr int32_t gpt2edge_text_options::* kIntegers[] = {
        &gpt2edge_text_options::min_tokens,
        &gpt2edge_text_options::ignore_eos,
        &gpt2edge_text_options::allow_special,
        &gpt2edge_text_options::logprobs,
        &gpt2edge_text_options::has_seed,
        &gpt2edge_text_options::top_k,
        &gpt2edge_text_options::penalty_last_n,
        &gpt2edge_text_options::no_repeat_ngram_size,
        &gpt2edge_text_options::dry_allowed_length,
        &gpt2edge_text_options::dry_penalty_last_n,
        &gpt2edge_text_options::forced_first_token,
        &gpt2edge_text_options::keep,
        &gpt2edge_text_options::discard,
        &gpt2edge_text_options::prompt_lookup,
        &gpt2edge_text_options::max_draft_tokens,
        &gpt2edge_text_options::context_overflow};
    static constexpr size_t kKinds[] = {0, 1, 2};
    switch (choices.below(12)) {
      case 0:
        options.max_tokens = choices.of<int64_t>({-1, -2, 0, 1, INT64_MIN, INT64_MAX});
        break;
      case 1:
        options.stop = choices.one_of(8) ? nullptr : given.addresses.data();
        options.n_stop = choices.below(4);
        break;
      case 2:
        options.dry_sequence_breakers = given.addresses.data();
        options.n_dry_sequence_breakers = choices.below(4);
        options.dry_multiplier = 1;
        break;
      case 3:
        options.suppress_tokens = given.tokens.data();
        options.n_suppress_tokens = given.tokens.size();
        break;
      case 4:
        options.begin_suppress_tokens = given.tokens.data();
        options.n_begin_suppress_tokens = choices.one_of(8) ? SIZE_MAX / 2 : given.tokens.size();
        break;
      case 5:
        options.logit_bias = given.bias.data();
        options.n_logit_bias = given.bias.size();
        break;
      case 6:
        options.logits_processor = change_logits;
        options.logits_processor_user = const_cast<size_t*>(&kKinds[choices.below(3)]);
        break;
      case 7:
        options.context_overflow = GPT2EDGE_OVERFLOW_SLIDE;
        break;
      case 8:
        options.draft_model = models_.pick(choices);
        break;
      case 9:
        options.*kNumbers[choices.below(std::size(kNumbers))] = choices.number();
        break;
      default:
        options.*kIntegers[choices.below(std::size(kIntegers))] = choices.integer();
    }
  }

  void open_text(Choices& choices) {
    if (texts_.size() > 12) return;
    gpt2edge_model* const model = models_.pick(choices);
    TextArguments given;
    const auto* const options = text_options(choices, given);
    gpt2edge_text* text = nullptr;
    gpt2edge_status status;
    if (choices.one_of(2)) {
      const std::string prompt = choices.text();
      const size_t n = choices.one_of(8) ? GPT2EDGE_NUL : prompt.size();
      status = gpt2edge_text_open(model, prompt.c_str(), n, options, &text);
    } else {
      const auto prompt = choices.tokens();
      status = gpt2edge_text_open_tokens(model, prompt.data(), prompt.size(), options, &text);
    }
    if (checked(status) == GPT2EDGE_OK) texts_.add(text);
  }

  // With several threads, what a piece points to may be gone: another one took the next.
  void read(const gpt2edge_piece& piece) {
    if (is_shared_ || piece.size < sizeof piece) return;
    if (piece.text[piece.n_text] != '\0') std::abort();
    n_read_ += std::string(piece.text, piece.n_text).size();
    for (size_t i = 0; i < piece.n_top; ++i) n_read_ += piece.top[i].token >= 0 ? 1 : 0;
  }

  template <typename Function>
  void piece_by(Choices& choices, Function function) {
    Roomy<gpt2edge_piece> piece;
    const size_t size = choices.size(sizeof piece.value);
    piece.value.size = size;
    gpt2edge_text* const text = texts_.pick(choices);
    const auto status = function(text, choices.one_of(16) ? nullptr : &piece.value);
    if (checked(status) == GPT2EDGE_OK && size >= sizeof piece.value) read(piece.value);
  }
  void next_piece(Choices& choices) { piece_by(choices, gpt2edge_text_next); }
  void take_piece(Choices& choices) { piece_by(choices, gpt2edge_text_take); }

  struct Run {
    gpt2edge_text* text;
    int32_t n_left;
    bool cancels;
  };
  static int32_t on_piece(void* user, const gpt2edge_piece* piece) {
    auto* const run = static_cast<Run*>(user);
    if (piece->text[piece->n_text] != '\0' || piece->size < sizeof *piece) std::abort();
    if (--run->n_left > 0) return 0;
    if (!run->cancels) return 1;
    checked(gpt2edge_text_cancel(run->text));
    return 0;
  }

  void run_text(Choices& choices) {
    Run run{texts_.pick(choices), static_cast<int32_t>(choices.below(20)), choices.one_of(2)};
    checked(gpt2edge_text_run(run.text, choices.one_of(4) ? nullptr : on_piece, &run));
  }

  void step_texts(Choices& choices) {
    std::vector<gpt2edge_text*> texts(choices.below(6));
    for (auto& text : texts) text = texts_.pick(choices);
    checked(gpt2edge_text_step(choices.one_of(16) ? nullptr : texts.data(), texts.size()));
  }

  void look_at_text(Choices& choices) {
    gpt2edge_text* const text = texts_.pick(choices);
    Roomy<gpt2edge_text_state> state;
    state.value.size = choices.size(sizeof state.value);
    checked(gpt2edge_text_get_state(text, &state.value));
    std::vector<int32_t> tokens(choices.below(100));
    std::vector<char> bytes(choices.below(100));
    size_t n = 0;
    checked(
        gpt2edge_text_tokens(text, choices.one_of(4) ? nullptr : tokens.data(), tokens.size(), &n));
    checked(
        gpt2edge_text_bytes(text, choices.one_of(4) ? nullptr : bytes.data(), bytes.size(), &n));
    if (choices.one_of(8)) checked(gpt2edge_text_cancel(text));
  }

  void save_text(Choices& choices) {
    const auto* const path =
        choices.one_of(8) ? choices.of<const char*>({nullptr, "", "/"}) : saved_.path().c_str();
    if (checked(gpt2edge_text_save(texts_.pick(choices), path)) != GPT2EDGE_OK) return;
    if (!choices.one_of(3)) return;
    const std::lock_guard lock(mutex_);
    std::ifstream file(saved_.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.empty()) return;
    bytes[(choices.below(256) * 256 + choices.below(256)) % bytes.size()] ^=
        static_cast<char>(1 + choices.below(255));
    // A new file in its place: other threads may have the one that is there mapped.
    const std::string damaged = saved_.path() + ".damaged";
    write_file(damaged, bytes);
    std::filesystem::rename(damaged, saved_.path());
  }

  void resume_text(Choices& choices) {
    if (texts_.size() > 12) return;
    gpt2edge_text* text = nullptr;
    const auto* const path = choices.one_of(8)
                                 ? choices.of<const char*>({nullptr, "", "no such file"})
                                 : saved_.path().c_str();
    const auto n = choices.of<int64_t>({-1, 0, 1, 20, INT64_MIN});
    gpt2edge_model* const model = models_.pick(choices);
    if (checked(gpt2edge_text_resume(model, path, n, &text)) == GPT2EDGE_OK) texts_.add(text);
  }

  // ---- sessions and next words ----

  void open_session(Choices& choices) {
    if (sessions_.size() > 8) return;
    gpt2edge_session* session = nullptr;
    const auto status = choices.one_of(2)
                            ? gpt2edge_session_open(models_.pick(choices), &session)
                            : gpt2edge_session_fork(sessions_.pick(choices), &session);
    if (checked(status) == GPT2EDGE_OK) sessions_.add(session);
  }

  void append(Choices& choices) {
    const size_t n_parts = choices.below(4);
    std::vector<gpt2edge_part> parts(n_parts);
    std::vector<std::vector<int32_t>> tokens(n_parts);
    std::vector<std::vector<float>> logits(n_parts);
    for (size_t i = 0; i < n_parts; ++i) {
      tokens[i] = choices.tokens();
      parts[i] = {sessions_.pick(choices), tokens[i].data(), tokens[i].size(), nullptr};
      if (!choices.one_of(3)) continue;
      logits[i].resize(tokens[i].size() * kMostVocab);
      parts[i].logits = logits[i].data();
    }
    checked(gpt2edge_session_append(choices.one_of(16) ? nullptr : parts.data(), n_parts));
  }

  void look_at_session(Choices& choices) {
    gpt2edge_session* const session = sessions_.pick(choices);
    size_t n = 0;
    std::vector<float> logits(choices.of<size_t>({0, 59, 60, 300}));
    std::vector<int32_t> tokens(choices.below(220));
    checked(gpt2edge_session_logits(session, choices.one_of(4) ? nullptr : logits.data(),
                                    logits.size(), &n));
    checked(gpt2edge_session_tokens(session, choices.one_of(4) ? nullptr : tokens.data(),
                                    tokens.size(), choices.one_of(8) ? nullptr : &n));
  }

  void change_session(Choices& choices) {
    const auto n = choices.of<size_t>({0, 1, 20, 64, 100, 199, SIZE_MAX});
    checked(gpt2edge_session_truncate(sessions_.pick(choices), n));
  }

  void open_suggester(Choices& choices) {
    if (suggesters_.size() > 3) return;
    gpt2edge_suggester* suggester = nullptr;
    if (checked(gpt2edge_suggester_open(models_.pick(choices), &suggester)) == GPT2EDGE_OK) {
      suggesters_.add(suggester);
    }
  }

  void suggest(Choices& choices) {
    const gpt2edge_word* words = nullptr;
    size_t n = 0;
    const std::string text = choices.text();
    const auto status =
        gpt2edge_suggest(suggesters_.pick(choices), text.data(), text.size(),
                         choices.of<size_t>({1, 3, 20, 0, 10'000, SIZE_MAX}), &words, &n);
    if (checked(status) != GPT2EDGE_OK || is_shared_) return;
    for (size_t i = 0; i < n; ++i)
      n_read_ += std::strlen(words[i].word) + std::strlen(words[i].completion);
  }

  // ---- the end of handles ----

  void close(Choices& choices) {
    switch (choices.below(5)) {
      case 0:
        checked(gpt2edge_file_close(files_.pick(choices)));
        break;
      case 1:
        checked(gpt2edge_model_close(models_.pick(choices)));
        break;
      case 2:
        checked(gpt2edge_text_close(texts_.pick(choices)));
        break;
      case 3:
        checked(gpt2edge_session_close(sessions_.pick(choices)));
        break;
      default:
        checked(gpt2edge_suggester_close(suggesters_.pick(choices)));
    }
  }

  void close_all() {
    for (auto* handle : files_.all()) checked(gpt2edge_file_close(handle));
    for (auto* handle : models_.all()) checked(gpt2edge_model_close(handle));
    for (auto* handle : texts_.all()) checked(gpt2edge_text_close(handle));
    for (auto* handle : sessions_.all()) checked(gpt2edge_session_close(handle));
    for (auto* handle : suggesters_.all()) checked(gpt2edge_suggester_close(handle));
  }

  static inline std::atomic<size_t> n_calls_{0};
  const bool is_shared_;
  std::mutex mutex_;  // of the bytes and the saved file
  std::deque<std::string> damaged_;
  const ScratchFile saved_;
  std::atomic<int32_t> interrupts_left_{0};
  std::atomic<size_t> n_read_{0};
  HandleList<gpt2edge_file> files_;
  HandleList<gpt2edge_model> models_;
  HandleList<gpt2edge_text> texts_;
  HandleList<gpt2edge_session> sessions_;
  HandleList<gpt2edge_suggester> suggesters_;
};

}  // namespace gpt2edge::test
