// Texts longer than their context: whatever the portions they come in, the model sees what it would
// see if it were given the tokens in view anew.
#include "generate/window.h"

#include <algorithm>
#include <set>

#include "check.h"
#include "tiny_model.h"

namespace gpt2edge::test {
namespace {

constexpr auto kType = kernels::CacheType::kF16;

struct Stop {};

struct Case {
  int n_ctx, n_last, keep;
};

// Contexts that are whole pages and that are not; the tokens that go on, and those that stay,
// likewise.
constexpr Case kCases[] = {
    {40, 1, 0},     {40, 30, 9},   {40, 20, 10},   {64, 32, 0},    {65, 64, 0},   {100, 50, 7},
    {128, 64, 0},   {128, 1, 64},  {128, 64, 63},  {150, 20, 128}, {150, 1, 148}, {192, 64, 64},
    {192, 63, 128}, {200, 64, 64}, {200, 130, 65}, {200, 199, 0},  {200, 100, 0}, {200, 1, 0},
    {200, 5, 130},  {200, 70, 1},  {129, 128, 0},  {130, 1, 128},  {192, 191, 0},
};

Window sliding(const TinyModel& tiny, const Case& c) {
  return {tiny.model, {c.n_ctx, kType}, {true, c.keep, c.n_ctx - c.keep - c.n_last}};
}

std::vector<int32_t> first(const std::vector<int32_t>& text, int64_t n) {
  return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n)};
}

// What the context in use has of a text: its first tokens, and its last from a start on.
std::vector<int32_t> in_view(const Case& c, const std::vector<int32_t>& text) {
  const int n = static_cast<int>(text.size()), stride = c.n_ctx - c.n_last - c.keep;
  if (n <= c.n_ctx) return text;
  const int start = c.keep + (n - c.n_ctx + stride - 1) / stride * stride;
  std::vector<int32_t> tokens = first(text, c.keep);
  tokens.insert(tokens.end(), text.begin() + start, text.end());
  return tokens;
}

void check_view(const TinyModel& tiny, const Window& window, const Case& c,
                const std::vector<int32_t>& text) {
  const std::vector<int32_t> tokens = in_view(c, text);
  CHECK(window.length() == static_cast<int64_t>(text.size()));
  CHECK(window.context().tokens() == tokens);
  CHECK(
      same_bits(window.logits_after(window.length()).all, fresh_logits(tiny.model, tokens, kType)));
}

int pages_used(const TinyModel& tiny) { return tiny.model->page_pool(kType)->n_used(); }

// ---- portions ----

void test_portions(const TinyModel& tiny, const Case& c, int largest, uint32_t seed) {
  Random random(seed);
  const std::vector<int32_t> text = random.tokens(4 * c.n_ctx, tiny.model->config().n_vocab);
  const int before = pages_used(tiny);
  {
    Window window = sliding(tiny, c);
    const int most = window.max_pages(4 * c.n_ctx);
    int64_t n = 0;
    while (n < 3 * c.n_ctx) {
      n += random.between(1, largest);
      n = std::min<int64_t>(n, static_cast<int64_t>(text.size()));
      window.append(first(text, n), 1, {});
      check_view(tiny, window, c, first(text, n));
      CHECK(pages_used(tiny) - before <= window.max_pages(n));
      CHECK(window.max_pages(n) <= most);
    }
  }
  CHECK(pages_used(tiny) == before);
}

// Token by token, for several turns of the ring: once it is full, the pages are always the same.
void test_pages_stay(const TinyModel& tiny, const Case& c) {
  const int stride = c.n_ctx - c.n_last - c.keep;
  const int n_pages = KvCache::page_count(c.n_ctx), n_fixed = c.keep / kernels::kPagePositions;
  const int capacity = n_pages + KvCache::page_count(c.keep + c.n_last) - n_fixed;
  const int once_round = c.n_ctx + stride * (capacity + 1);
  const std::vector<int32_t> text =
      Random(5).tokens(std::min(once_round + 200, 1500), tiny.model->config().n_vocab);
  const int before = pages_used(tiny);
  Window window = sliding(tiny, c);
  CHECK(window.max_pages(1 << 20) == capacity);
  std::set<const std::byte*> pages;
  for (int n = 1; n <= static_cast<int>(text.size()); ++n) {
    window.append(std::span(text).first(static_cast<size_t>(n)), 1, {});
    CHECK(pages_used(tiny) - before <= capacity);
    const auto& in_use = window.context().pages();
    if (n <= once_round) {
      pages.insert(in_use.begin(), in_use.end());
    } else {
      CHECK(pages_used(tiny) - before == static_cast<int>(pages.size()));
      for (const std::byte* page : in_use) CHECK(pages.count(page) == 1);
    }
  }
  CHECK(static_cast<int>(pages.size()) <= capacity);
  window.release();
  CHECK(pages_used(tiny) == before);
}

void test_one_context(const TinyModel& tiny) {
  const std::vector<int32_t> text = Random(3).tokens(120, tiny.model->config().n_vocab);
  Window window(tiny.model, {100, kType}, {});
  CHECK(!window.slides() && window.max_pages(1000) == 2 && window.max_pages(64) == 1);
  for (const int n : {1, 30, 97}) {
    window.append(first(text, n), 1, {});
    CHECK(window.context().tokens() == first(text, n));
    CHECK(window.max_rollback(0) == 100 - n && window.has_room(100 - n) &&
          !window.has_room(101 - n));
  }
  CHECK(throws<ContextLengthError>([&] { window.append(first(text, 101), 1, {}); }));
  CHECK(throws<ContextLengthError>([&] { window.check(first(text, 4)); }));
  const std::vector<int32_t> unknown = {tiny.model->config().n_vocab};
  CHECK(throws<std::invalid_argument>([&] { window.check(unknown); }));
  window.append(first(text, 100), 3, {});
  CHECK(same_bits(window.logits_after(100).all, fresh_logits(tiny.model, first(text, 100), kType)));
  CHECK(same_bits(window.logits_after(98).all, fresh_logits(tiny.model, first(text, 98), kType)));
  window.rollback(2);
  CHECK(window.length() == 98 && window.context().tokens() == first(text, 98));
}

void test_no_room(const TinyModel& tiny) {
  constexpr int kLeast = std::numeric_limits<int>::min(), kMost = std::numeric_limits<int>::max();
  const std::pair<int, int> bad[] = {{0, 0},      {0, 200},      {100, 100}, {10, -1},
                                     {-1, 1},     {1, kLeast},   {1, kMost}, {kMost, 1},
                                     {kLeast, 1}, {kMost, kMost}};
  for (const auto& [keep, discard] : bad) {
    const SlideOptions slide{true, keep, discard};
    CHECK(throws<std::invalid_argument>([&] { Window(tiny.model, {200, kType}, slide); }));
  }
  CHECK(
      throws<std::invalid_argument>([&] { Window(tiny.model, {200, kType}, {true, kLeast, {}}); }));
  CHECK(throws<std::invalid_argument>([&] { Window(tiny.model, {201, kType}, {}); }));
}

// ---- taking back ----

void test_take_back(const TinyModel& tiny, const Case& c, uint32_t seed) {
  Random random(seed);
  const int n_vocab = tiny.model->config().n_vocab;
  std::vector<int32_t> text = random.tokens(1, n_vocab);
  Window window = sliding(tiny, c);
  window.append(text, 1, {});
  while (static_cast<int>(text.size()) < 2 * c.n_ctx) {
    text.push_back(random.below(n_vocab));
    const auto limit = static_cast<int>(std::min<int64_t>(window.max_rollback(1), 12));
    CHECK(limit >= 0);
    std::vector<int32_t> longer = text;
    for (int i = random.between(0, limit); i > 0; --i) longer.push_back(random.below(n_vocab));
    const auto n_draft = static_cast<int>(longer.size() - text.size());
    window.append(longer, 1 + n_draft, {});
    const int n_accepted = random.between(0, n_draft);
    for (int k = 0; k <= n_draft; k += std::max(1, n_draft)) {
      const std::vector<int32_t> part = first(longer, static_cast<int64_t>(text.size()) + k);
      CHECK(same_bits(window.logits_after(static_cast<int64_t>(part.size())).all,
                      fresh_logits(tiny.model, in_view(c, part), kType)));
    }
    window.rollback(n_draft - n_accepted);
    longer.resize(longer.size() - static_cast<size_t>(n_draft - n_accepted));
    text = longer;
    check_view(tiny, window, c, text);
  }
}

// ---- sharing ----

// A text begins with what another has computed, and forks of its context live on.
void test_share_and_forks(const TinyModel& tiny, const Case& c, uint32_t seed) {
  Random random(seed);
  const std::vector<int32_t> text = random.tokens(4 * c.n_ctx + 100, tiny.model->config().n_vocab);
  for (const int n_known : {random.between(1, 63), 64, 65, c.n_ctx}) {
    if (n_known > c.n_ctx) continue;
    Sequence known(tiny.model, c.n_ctx, kType);
    const std::vector<int32_t> beginning = first(text, n_known);
    const Sequence::Part part{&known, beginning};
    Sequence::append({&part, 1}, {});
    Window window = sliding(tiny, c);
    window.share(known);
    std::vector<std::unique_ptr<Sequence>> forks;
    for (int64_t n = n_known; n < 3 * c.n_ctx;) {
      n += random.between(1, 90);
      window.append(first(text, n), 1, {});
      check_view(tiny, window, c, first(text, n));
      if (forks.size() < 6) forks.push_back(window.context().fork());
    }
    CHECK(known.tokens() == beginning);
    forks.push_back(known.fork());
    for (const auto& fork : forks) {
      std::vector<int32_t> tokens = fork->tokens();
      if (fork->length() == fork->n_ctx()) fork->truncate(fork->length() - 1);
      tokens = fork->tokens();
      tokens.push_back(1);
      const std::vector<int32_t> more = {1};
      const Sequence::Part next{fork.get(), more};
      Sequence::append({&next, 1}, {});
      CHECK(same_bits(fork->logits_after(fork->length()).all,
                      fresh_logits(tiny.model, tokens, kType)));
    }
  }
}

// ---- interrupts ----

// Stops at the k-th call.
Interrupt stop_at(int k) {
  return [k]() mutable {
    if (--k == 0) throw Stop();
  };
}

bool is_stopped(Window& window, const std::vector<int32_t>& text, int k) {
  try {
    window.append(text, 1, stop_at(k));
    return false;
  } catch (const Stop&) {
    return true;
  }
}

struct Saved {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<std::string> pages;
  int64_t index = 0;
};

Saved saved(const Window& window) {
  const Window::Contexts contexts = window.contexts();
  Saved out;
  out.index = contexts.index;
  for (const Sequence* sequence : contexts.sequences) {
    out.tokens.push_back(sequence->tokens());
    std::string& bytes = out.pages.emplace_back();
    for (int i = 0; i < KvCache::page_count(sequence->length()); ++i) {
      bytes.append(reinterpret_cast<const char*>(sequence->pages()[static_cast<size_t>(i)]),
                   sequence->page_bytes());
    }
  }
  return out;
}

Window restored(const TinyModel& tiny, const Case& c, const Saved& from,
                const std::vector<int32_t>& text) {
  Window window = sliding(tiny, c);
  std::vector<Window::SavedContext> contexts;
  for (size_t i = 0; i < from.tokens.size(); ++i) {
    contexts.push_back({from.tokens[i], std::as_bytes(std::span(from.pages[i]))});
  }
  window.restore(text, from.index, contexts, tiny.model->kernels().code_bias);
  return window;
}

// What is saved of a window with a text, if anything is, goes on as the text does.
void check_restored(const TinyModel& tiny, const Case& c, const Window& window,
                    const std::vector<int32_t>& all, int64_t n_more) {
  const int64_t n = window.length();
  const Saved from = saved(window);
  if (from.tokens.empty()) return;
  Window other = restored(tiny, c, from, first(all, n));
  const std::vector<int32_t> longer = first(all, n + n_more);
  other.append(longer, 1, {});
  check_view(tiny, other, c, longer);
}

void test_interrupts(const TinyModel& tiny, const Case& c, uint32_t seed) {
  Random random(seed);
  const std::vector<int32_t> text = random.tokens(10 * c.n_ctx, tiny.model->config().n_vocab);
  Window window = sliding(tiny, c);
  int64_t n = 0;
  while (n < 4 * c.n_ctx) {
    const int64_t before = n;
    // Often to just before a change of contexts, at one, or behind one.
    const bool is_long = random.below(3) == 0;
    const int64_t longest = n + (is_long ? random.between(1, 2 * c.n_ctx) : random.between(1, 9));
    for (int k = 1; is_stopped(window, first(text, longest), k); ++k) {
      CHECK(window.length() == before);
      if (before > 0) check_restored(tiny, c, window, text, random.between(1, c.n_ctx));
    }
    // After an interrupt the text may go on in smaller portions, too.
    if (random.below(2) == 0) {
      is_stopped(window, first(text, longest + 3 * c.n_ctx / 2), 1);
      CHECK(window.length() == longest);
      n = longest + random.between(1, 5);
      window.append(first(text, n), 1, {});
    } else {
      n = longest;
    }
    check_view(tiny, window, c, first(text, n));
  }
}

void test_restore(const TinyModel& tiny, const Case& c) {
  const int n_all = c.n_ctx + 2 * (c.n_ctx - c.n_last - c.keep) + 70;
  const std::vector<int32_t> text =
      Random(9).tokens(n_all + 2 * c.n_ctx, tiny.model->config().n_vocab);
  Window window = sliding(tiny, c);
  const int step = c.n_ctx < 50 ? 1 : 17;
  for (int64_t n = 1; n < n_all; n += step) {
    window.append(first(text, n), 1, {});
    // There may be none where a context became full in the pass that computed the kept tokens.
    const Window::Contexts contexts = window.contexts();
    CHECK(!contexts.sequences.empty() || window.context().length() == c.n_ctx);
    check_restored(tiny, c, window, text, 1 + n % 3 * (c.n_ctx / 2));
  }
}

void test_refused_contexts(const TinyModel& tiny) {
  const Case c{40, 20, 5};
  const std::vector<int32_t> text = Random(9).tokens(50, tiny.model->config().n_vocab);
  Window window = sliding(tiny, c);
  window.append(text, 1, {});
  const Saved good = saved(window);
  const auto is_refused = [&](const Saved& from, const std::vector<int32_t>& of) {
    return throws<std::invalid_argument>([&] { restored(tiny, c, from, of); });
  };
  CHECK(!is_refused(good, text));
  for (const int64_t index : {int64_t{0}, int64_t{2}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    Saved other = good;
    other.index = index;
    CHECK(is_refused(other, text));
  }
  CHECK(is_refused(good, first(text, 49)));
  Saved other = good;
  other.tokens[0][3] ^= 1;
  CHECK(is_refused(other, text));
  other = good;
  other.pages[0].pop_back();
  CHECK(is_refused(other, text));
  other = good;
  other.tokens.resize(1);
  other.tokens.push_back(text);
  other.pages.resize(2);
  CHECK(is_refused(other, text));
  CHECK(is_refused(Saved{}, text));
}

// An interrupted pass leaves no trace where the sequence then begins with something else.
void test_interrupted_beginnings(const TinyModel& tiny) {
  const std::vector<int32_t> text = Random(4).tokens(190, tiny.model->config().n_vocab);
  Sequence known(tiny.model, 200, kType);
  const std::vector<int32_t> beginning = first(text, 70);
  const Sequence::Part part{&known, beginning};
  Sequence::append({&part, 1}, {});
  for (const Case& c : {Case{200, 100, 0}, Case{200, 30, 100}}) {
    Window window = sliding(tiny, c);
    CHECK(is_stopped(window, text, 1));
    window.share(known);
    window.append(first(text, 80), 1, {});
    check_view(tiny, window, c, first(text, 80));

    Window source = sliding(tiny, c), other = sliding(tiny, c);
    source.append(beginning, 1, {});
    const Saved from = saved(source);
    CHECK(is_stopped(other, text, 1));
    const Window::SavedContext context{from.tokens[0], std::as_bytes(std::span(from.pages[0]))};
    other.restore(beginning, 0, {&context, 1}, tiny.model->kernels().code_bias);
    other.append(first(text, 80), 1, {});
    check_view(tiny, other, c, first(text, 80));
  }
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  const TinyModel tiny = tiny_model({.n_ctx = 200, .n_vocab = 40, .n_layer = 2});
  test_one_context(tiny);
  test_no_room(tiny);
  uint32_t seed = 1;
  for (const Case& c : kCases) {
    if (check::is_quick() && c.n_ctx > 40) continue;
    for (const int largest : {20, c.n_ctx / 2, 3 * c.n_ctx})
      test_portions(tiny, c, largest, seed++);
    test_take_back(tiny, c, seed++);
    test_restore(tiny, c);
    if (check::is_quick() && c.keep != 20) continue;
    test_pages_stay(tiny, c);
    test_share_and_forks(tiny, c, seed++);
    test_interrupts(tiny, c, seed++);
  }
  test_portions(tiny, {150, 20, 128}, 450, seed);
  test_refused_contexts(tiny);
  test_interrupted_beginnings(tiny);
  return check::done();
}
