// Texts in the making: by themselves, and many in one pass.
#include "generate/text.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "check.h"
#include "tiny_model.h"

namespace gpt2edge::test {
namespace {

constexpr auto kType = kernels::CacheType::kF16;

TextOptions options_of(std::optional<int64_t> max_tokens, uint64_t seed) {
  TextOptions options;
  options.max_tokens = max_tokens;
  options.ignore_eos = true;
  options.sampling.seed = seed;
  return options;
}

struct Request {
  std::vector<int32_t> prompt;
  TextOptions options;
};

std::unique_ptr<Text> begin(const TinyModel& tiny, const Request& request) {
  return std::make_unique<Text>(tiny.model, tiny.vocabulary, ContextOptions{0, kType},
                                request.prompt, request.options);
}

bool same(const TextState& a, const TextState& b) {
  const auto same_logprob = [](const TopLogprobs& x, const TopLogprobs& y) {
    return x.chosen == y.chosen &&
           std::equal(x.top.begin(), x.top.end(), y.top.begin(), y.top.end(),
                      [](const TokenLogprob& p, const TokenLogprob& q) {
                        return p.token == q.token && p.logprob == q.logprob;
                      });
  };
  return a.bytes == b.bytes && a.tokens == b.tokens && a.prompt == b.prompt &&
         a.finish_reason == b.finish_reason && a.stop_string == b.stop_string &&
         std::equal(a.logprobs.begin(), a.logprobs.end(), b.logprobs.begin(), b.logprobs.end(),
                    same_logprob);
}

// ---- one text ----

// The tokens that a loop of passes and draws by hand gives.
std::vector<int32_t> by_hand(const TinyModel& tiny, const Request& request, int n) {
  std::vector<int32_t> text = request.prompt;
  Sampler sampler(request.options.sampling);
  for (const int32_t token : text) sampler.accept(token);
  for (int i = 0; i < n; ++i) {
    const std::vector<float> logits = fresh_logits(tiny.model, text, kType);
    text.push_back(sampler.sample({logits}));
    sampler.accept(text.back());
  }
  return {text.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()), text.end()};
}

void test_tokens_and_pieces(const TinyModel& tiny) {
  for (const double penalty : {1.0, 1.3}) {
    Request request{{1, 2, 3}, options_of(40, 5)};
    request.options.sampling.repetition_penalty = penalty;
    request.options.logprobs = 2;
    const auto text = begin(tiny, request);
    CHECK(!text->has_begun() && !text->finished());
    std::string bytes;
    std::vector<int32_t> tokens;
    while (const std::optional<Piece> piece = text->next({})) {
      bytes += piece->bytes;
      if (!piece->token) continue;
      tokens.push_back(*piece->token);
      CHECK(piece->logprob && piece->logprob->top.size() == 2);
    }
    CHECK(text->finished() && text->has_begun() && !text->next({}));
    const TextState state = text->state();
    CHECK(tokens == by_hand(tiny, request, 40) && state.tokens == tokens && state.bytes == bytes);
    CHECK(state.finish_reason == FinishReason::kLength && state.logprobs.size() == 40);
    CHECK(state.timings.prefill_tokens == 3 && state.timings.decode_tokens == 39);

    const auto other = begin(tiny, request);
    other->run({});
    CHECK(same(other->state(), state) && other->pieces().empty());
  }
}

void test_ends(const TinyModel& tiny) {
  const auto none = begin(tiny, {{1, 2}, options_of(0, 1)});
  CHECK(!none->next({}) && none->state().tokens.empty());
  CHECK(none->state().finish_reason == FinishReason::kLength);

  const auto full = begin(tiny, {{1, 2}, options_of(std::nullopt, 1)});
  full->run({});
  CHECK(full->state().finish_reason == FinishReason::kLength);
  const size_t n_full = full->state().tokens.size();
  CHECK(n_full == static_cast<size_t>(tiny.model->config().n_ctx) - 1);

  Request error{{1, 2}, options_of(std::nullopt, 1)};
  error.options.context_overflow = Overflow::kError;
  const auto overflows = begin(tiny, error);
  CHECK(throws<ContextLengthError>([&] { overflows->run({}); }));
  CHECK(throws<ContextLengthError>([&] { overflows->check_error(); }));
  CHECK(overflows->finished() && overflows->state().tokens == full->state().tokens);
  // Each piece comes before the error, which stays.
  const auto pieces = begin(tiny, error);
  for (size_t i = 0; i < n_full; ++i) CHECK(pieces->next({}).has_value());
  CHECK(throws<ContextLengthError>([&] { pieces->next({}); }));
  CHECK(throws<ContextLengthError>([&] { pieces->next({}); }));

  // An end-of-text token that is certain to come.
  Request eos{{1, 2}, options_of(20, 1)};
  eos.options.ignore_eos = false;
  eos.options.sampling.logit_bias = {{*tiny.vocabulary->eos_token, 1e6f}};
  const auto stopped = begin(tiny, eos);
  CHECK(!stopped->next({}) && stopped->state().finish_reason == FinishReason::kStop);
  CHECK(stopped->state().tokens.empty() && !stopped->state().stop_string);
}

void test_bad_input(const TinyModel& tiny) {
  const int n_ctx = tiny.model->config().n_ctx, n_vocab = tiny.model->config().n_vocab;
  const auto is_refused = [&](const Request& request) {
    return throws<std::invalid_argument>([&] { begin(tiny, request); });
  };
  CHECK(is_refused({{}, options_of(1, 1)}));
  CHECK(is_refused({{1}, options_of(-1, 1)}));
  Request negative{{1}, options_of(1, 1)};
  negative.options.logprobs = -1;
  CHECK(is_refused(negative));

  const auto too_long = begin(tiny, {Random(1).tokens(n_ctx + 1, n_vocab), options_of(5, 1)});
  for (int i = 0; i < 2; ++i) {
    CHECK(throws<ContextLengthError>([&] { too_long->check(); }));
    CHECK(throws<ContextLengthError>([&] { too_long->next({}); }));
  }
  CHECK(!too_long->finished());
  Request slides{Random(1).tokens(3 * n_ctx, n_vocab), options_of(5, 1)};
  slides.options.context_overflow = Overflow::kSlide;
  slides.options.keep = 3;
  const auto slid = begin(tiny, slides);
  slid->check();
  slid->run({});
  CHECK(slid->state().tokens.size() == 5 && slid->prefix() == nullptr);

  CHECK(is_refused({{1, -1}, options_of(1, 1)}));
  for (const int32_t token : {n_vocab, INT32_MAX}) {
    const auto unknown = begin(tiny, {{1, token}, options_of(5, 1)});
    CHECK(throws<std::invalid_argument>([&] { unknown->check(); }));
    CHECK(throws<std::invalid_argument>([&] { unknown->next({}); }));
  }
}

// The text ends before the first stop string, wherever the tokens end.
void test_stop_strings(const TinyModel& tiny) {
  const Request plain{{1, 2, 3}, options_of(60, 4)};
  const auto whole = begin(tiny, plain);
  whole->run({});
  const std::string bytes = whole->state().bytes;
  for (const size_t length : {1, 2, 5}) {
    for (size_t at = 0; at + length <= bytes.size(); at += 7) {
      Request request = plain;
      request.options.stop = {"never to come, this", bytes.substr(at, length)};
      const auto text = begin(tiny, request);
      std::string shown;
      while (const std::optional<Piece> piece = text->next({})) shown += piece->bytes;
      const size_t place = bytes.find(request.options.stop[1]);
      CHECK(shown == bytes.substr(0, place) && text->state().bytes == shown);
      CHECK(text->state().finish_reason == FinishReason::kStop);
      CHECK(text->state().stop_string == request.options.stop[1]);
      CHECK(throws<std::invalid_argument>([&] { text->saved_bytes(); }));
    }
  }
}

// However often a pass is interrupted, the text is the same.
void test_interrupts(const TinyModel& tiny) {
  struct Stop {};
  Request request{Random(3).tokens(150, tiny.model->config().n_vocab), options_of(160, 3)};
  request.options.context_overflow = Overflow::kSlide;
  request.options.keep = 70;
  request.options.discard = 80;
  const auto plain = begin(tiny, request), text = begin(tiny, request);
  plain->run({});
  int n_calls = 0;
  const Interrupt sometimes = [&] {
    if (++n_calls % 3 == 0) throw Stop();
  };
  while (!text->finished()) {
    try {
      text->run(sometimes);
    } catch (const Stop&) {
    }
  }
  CHECK(same(text->state(), plain->state()));
}

void test_share(const TinyModel& tiny) {
  const Request request{Random(3).tokens(140, tiny.model->config().n_vocab), options_of(20, 3)};
  const auto plain = begin(tiny, request), text = begin(tiny, request);
  CHECK(plain->prefix() == nullptr);
  plain->next({});
  const auto known = plain->prefix();
  CHECK(known != nullptr && known->length() == 128);
  text->share(*known);
  CHECK(throws<std::invalid_argument>([&] { text->share(*known); }));
  plain->run({});
  text->run({});
  CHECK(same(text->state(), plain->state()) && text->state().timings.prefill_tokens == 12);
  const auto other = begin(tiny, {{1, 2, 3}, options_of(20, 3)});
  CHECK(throws<std::invalid_argument>([&] { other->share(*known); }));
  const int before = tiny.model->page_pool(kType)->n_used();
  text->release();
  CHECK(tiny.model->page_pool(kType)->n_used() < before);
}

// ---- many texts ----

std::vector<Request> many_requests(const TinyModel& tiny) {
  const int n_ctx = tiny.model->config().n_ctx, n_vocab = tiny.model->config().n_vocab;
  Random random(8);
  std::vector<Request> requests;
  for (const int n : {1, 2, 70, n_ctx - 1, 5, 130, 33, n_ctx, 3 * n_ctx, 64}) {
    requests.push_back({random.tokens(n, n_vocab), options_of(random.between(1, 60), 1)});
  }
  requests[0].options.max_tokens = 0;
  requests[1].options.max_tokens = std::nullopt;
  requests[1].options.context_overflow = Overflow::kError;
  requests[3].options.max_tokens = std::nullopt;
  requests[4].options.stop = {"a", "b", "c", "1"};
  requests[5].options.sampling.repetition_penalty = 1.2;
  requests[6].options.ignore_eos = false;
  requests[6].options.sampling.logit_bias = {{*tiny.vocabulary->eos_token, 3.0f}};
  requests[6].options.logprobs = 3;
  for (const size_t i : {7, 8}) {
    requests[i].options.context_overflow = Overflow::kSlide;
    requests[i].options.max_tokens = 150;
    requests[i].options.keep = i == 7 ? 0 : 20;
  }
  for (size_t i = 0; i < requests.size(); ++i) requests[i].options.sampling.seed = i;
  return requests;
}

void test_step(const TinyModel& tiny) {
  const std::vector<Request> requests = many_requests(tiny);
  std::vector<std::unique_ptr<Text>> texts;
  std::vector<Text*> running;
  std::vector<std::string> bytes(requests.size());
  size_t n_begun = 0;
  for (const Request& request : requests) texts.push_back(begin(tiny, request));
  // They join one after the other, and those that have ended stay for a while.
  for (int step = 0; step < 1000; ++step) {
    if (n_begun < texts.size() && step % 5 < 2) running.push_back(texts[n_begun++].get());
    Text::step(running, {});
    for (size_t i = 0; i < texts.size(); ++i) {
      for (const Piece& piece : texts[i]->pieces()) bytes[i] += piece.bytes;
    }
    if (step % 10 == 0) std::erase_if(running, [](Text* text) { return text->finished(); });
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto alone = begin(tiny, requests[i]);
    const bool fails = requests[i].options.context_overflow == Overflow::kError;
    CHECK(throws<ContextLengthError>([&] { alone->run({}); }) == fails);
    CHECK(throws<ContextLengthError>([&] { texts[i]->check_error(); }) == fails);
    CHECK(texts[i]->finished() && same(texts[i]->state(), alone->state()));
    CHECK(bytes[i] == alone->state().bytes);
  }
}

void test_what_a_step_refuses(const TinyModel& tiny) {
  const Request good{{1, 2, 3}, options_of(10, 1)};
  const auto alone = begin(tiny, good), one = begin(tiny, good), two = begin(tiny, good);
  const auto unknown = begin(tiny, {{1, 1000}, options_of(10, 1)});
  alone->run({});
  one->next({});
  const std::vector<Text*> twice = {one.get(), two.get(), one.get()};
  CHECK(throws<std::invalid_argument>([&] { Text::step(twice, {}); }));
  const std::vector<Text*> with_unknown = {one.get(), unknown.get(), two.get()};
  for (int i = 0; i < 2; ++i) {
    CHECK(throws<std::invalid_argument>([&] { Text::step(with_unknown, {}); }));
    CHECK(one->state().tokens.size() == 1 && two->state().tokens.empty());
  }
  const std::vector<Text*> both = {two.get(), one.get()};
  while (!one->finished() || !two->finished()) Text::step(both, {});
  CHECK(same(one->state(), alone->state()) && same(two->state(), alone->state()));
  Text::step({}, {});
}

// ---- many threads ----

// Others may look at texts, and step them in any order, while one steps.
void test_threads(const TinyModel& tiny) {
  std::vector<std::unique_ptr<Text>> texts;
  std::vector<Text*> forwards;
  for (uint64_t i = 0; i < 4; ++i) {
    Request request{Random(9).tokens(70, tiny.model->config().n_vocab), options_of(80, i)};
    texts.push_back(begin(tiny, request));
    forwards.push_back(texts.back().get());
  }
  const std::vector<Text*> backwards(forwards.rbegin(), forwards.rend());
  const auto all_finished = [&] {
    return std::all_of(texts.begin(), texts.end(), [](const auto& t) { return t->finished(); });
  };
  const auto step_all = [&](std::span<Text* const> all) {
    while (!all_finished()) Text::step(all, {});
  };
  std::atomic<size_t> n_seen = 0;
  const auto look = [&] {
    while (!all_finished()) {
      for (Text* text : forwards) {
        n_seen += text->state().tokens.size() + text->pieces().size();
        if (text->has_begun()) n_seen += text->prefix() != nullptr ? 1 : 0;
      }
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back(step_all, std::span<Text* const>(forwards));
  threads.emplace_back(step_all, std::span<Text* const>(backwards));
  threads.emplace_back(look);
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto alone =
        begin(tiny, {Random(9).tokens(70, tiny.model->config().n_vocab), options_of(80, i)});
    alone->run({});
    CHECK(same(texts[i]->state(), alone->state()));
  }
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  const TinyModel tiny = tiny_model({.n_ctx = 200, .n_vocab = 257}, 2);
  test_tokens_and_pieces(tiny);
  test_ends(tiny);
  test_bad_input(tiny);
  test_stop_strings(tiny);
  test_interrupts(tiny);
  test_share(tiny);
  test_step(tiny);
  test_what_a_step_refuses(tiny);
  test_threads(tiny);
  return check::done();
}
