// Drafts change how fast a text comes, and nothing else.
#include "generate/drafting/speculation.h"

#include <algorithm>
#include <numeric>

#include "check.h"
#include "generate/drafting/model_drafter.h"
#include "generate/drafting/prompt_lookup.h"
#include "generate/text.h"
#include "tiny_model.h"

namespace gpt2edge::test {
namespace {

constexpr auto kType = kernels::CacheType::kF16;

struct Models {
  TinyModel large, small, short_one;
};

TextOptions base(std::optional<int64_t> max_tokens) {
  TextOptions options;
  options.max_tokens = max_tokens;
  options.ignore_eos = true;
  options.sampling.seed = 5;
  return options;
}

// The context slides from 80 tokens to the first n_first and the last n_last.
TextOptions sliding(int n_last, int n_first, int64_t max_tokens) {
  TextOptions options = base(max_tokens);
  options.context_overflow = Overflow::kSlide;
  options.keep = n_first;
  options.discard = 80 - n_first - n_last;
  return options;
}

std::vector<TextOptions> many_options() {
  std::vector<TextOptions> all(9, base(70));
  all[0].sampling.temperature = 0;
  all[1].sampling.temperature = 1.5;
  all[1].sampling.top_k = 0;
  all[1].logprobs = 2;
  all[2].sampling.temperature = 0;
  all[2].sampling.repetition_penalty = 1.3;
  all[3].ignore_eos = false;
  all[3].sampling.logit_bias = {{49, 2.0f}};
  all[4].sampling.temperature = 0;
  all[4].stop = {"\x07", "+"};
  all[5].max_tokens = std::nullopt;
  all[6].max_tokens = 0;
  all[7].max_tokens = 1;
  all[8].max_tokens = std::nullopt;
  all[8].context_overflow = Overflow::kError;
  for (const auto& [n_last, n_first] :
       {std::pair{20, 0}, {9, 40}, {1, 0}, {78, 1}, {1, 65}, {79, 0}}) {
    all.push_back(sliding(n_last, n_first, 260));
  }
  all.back().sampling.repetition_penalty = 1.2;
  all.back().sampling.penalty_last_n = 10;
  if (check::is_quick()) return {all[2], all[7], all[10]};
  return all;
}

std::unique_ptr<Text> begin(const TinyModel& tiny, const std::vector<int32_t>& prompt,
                            const TextOptions& options, std::unique_ptr<Speculation> speculation) {
  return std::make_unique<Text>(tiny.model, tiny.vocabulary, ContextOptions{80, kType}, prompt,
                                options, std::move(speculation));
}

TextState finished(Text& text) {
  try {
    text.run({});
  } catch (const ContextLengthError&) {
  }
  return text.state();
}

bool same(const TextState& a, const TextState& b) {
  bool equal = a.bytes == b.bytes && a.tokens == b.tokens && a.finish_reason == b.finish_reason &&
               a.stop_string == b.stop_string && a.logprobs.size() == b.logprobs.size();
  for (size_t i = 0; equal && i < a.logprobs.size(); ++i) {
    equal = a.logprobs[i].chosen == b.logprobs[i].chosen;
  }
  return equal;
}

// Drafts of any length, of which the beginning is what will come.
class AnyDrafter : public Drafter {
 public:
  AnyDrafter(std::vector<int32_t> coming, uint32_t seed)
      : coming_(std::move(coming)), random_(seed) {}
  std::vector<int32_t> draft(std::span<const int32_t> text, int n, const Sampler&, AllowedLogits*,
                             const Interrupt&) override {
    std::vector<int32_t> drafted;
    const int n_right = random_.between(0, n), n_all = random_.between(n_right, n);
    for (int i = 0; i < n_all; ++i) {
      const size_t at = text.size() + static_cast<size_t>(i);
      const bool is_right = i < n_right && at < coming_.size();
      drafted.push_back(is_right ? coming_[at] : random_.below(50));
    }
    return drafted;
  }

 private:
  std::vector<int32_t> coming_;
  Random random_;
};

std::unique_ptr<Speculation> any_drafts(std::vector<int32_t> coming, int n, uint32_t seed) {
  std::vector<std::unique_ptr<Drafter>> drafters;
  drafters.push_back(std::make_unique<AnyDrafter>(std::move(coming), seed));
  return std::make_unique<Speculation>(std::move(drafters), n, n);
}

void test_any_drafts(const Models& models) {
  uint32_t seed = 1;
  int64_t n_drafted = 0, n_accepted = 0;
  for (const TextOptions& options : many_options()) {
    for (const std::vector<int32_t>& prompt : {std::vector<int32_t>{7, 8, 9, 7, 8, 9}, {3}}) {
      const TextState expected = finished(*begin(models.large, prompt, options, nullptr));
      std::vector<int32_t> coming = prompt;
      coming.insert(coming.end(), expected.tokens.begin(), expected.tokens.end());
      for (const int n : {1, 4, kMaxDraft}) {
        const auto text = begin(models.large, prompt, options, any_drafts(coming, n, seed++));
        const TextState found = finished(*text);
        CHECK(same(found, expected));
        const TextTimings& took = found.timings;
        n_drafted += took.draft_tokens;
        n_accepted += took.accepted_tokens;
        const auto n_tokens = static_cast<int64_t>(found.tokens.size());
        CHECK(took.decode_tokens <= n_tokens && took.decode_passes <= took.decode_tokens);
      }
    }
  }
  CHECK(n_accepted > 200 && n_drafted > n_accepted);
}

// Several at once, some with drafts and some without.
void test_in_a_batch(const Models& models) {
  std::vector<std::unique_ptr<Text>> texts;
  std::vector<Text*> all;
  std::vector<TextState> expected;
  for (const TextOptions& options : many_options()) {
    const std::vector<int32_t> prompt(texts.size() + 1, 4);
    expected.push_back(finished(*begin(models.large, prompt, options, nullptr)));
    std::vector<int32_t> coming = prompt;
    coming.insert(coming.end(), expected.back().tokens.begin(), expected.back().tokens.end());
    auto drafts = texts.size() % 3 == 0 ? nullptr : any_drafts(coming, 6, 1);
    texts.push_back(begin(models.large, prompt, options, std::move(drafts)));
    all.push_back(texts.back().get());
  }
  while (!std::all_of(all.begin(), all.end(), [](Text* text) { return text->finished(); })) {
    Text::step(all, {});
  }
  for (size_t i = 0; i < texts.size(); ++i) CHECK(same(texts[i]->state(), expected[i]));
}

SpeculationOptions drafts_of(const TinyModel* draft, bool prompt_lookup, int n_ctx) {
  SpeculationOptions options;
  options.prompt_lookup = prompt_lookup;
  if (draft != nullptr) {
    options.draft = draft->model;
    options.draft_vocabulary = draft->vocabulary;
  }
  options.draft_contexts = {n_ctx, kType};
  options.min_draft = 5;
  return options;
}

std::unique_ptr<Speculation> speculation(const Models& models, const SpeculationOptions& options,
                                         const TextOptions& text) {
  return make_speculation(options, *models.large.model, *models.large.vocabulary, text.slide(0));
}

void test_own_drafters(const Models& models) {
  const SpeculationOptions kinds[] = {
      drafts_of(nullptr, true, 0), drafts_of(&models.small, false, 80),
      drafts_of(&models.small, true, 80), drafts_of(&models.short_one, false, 0)};
  for (const SpeculationOptions& kind : kinds) {
    for (TextOptions options : many_options()) {
      const std::vector<int32_t> prompt = {7, 8, 9, 7, 8, 9};
      const TextState expected = finished(*begin(models.large, prompt, options, nullptr));
      const auto text = begin(models.large, prompt, options, speculation(models, kind, options));
      CHECK(same(finished(*text), expected));
    }
  }
}

// Also where drafts and passes are interrupted.
void test_interrupts(const Models& models) {
  struct Stop {};
  const TextOptions options = sliding(20, 7, 150);
  const TextState expected = finished(*begin(models.large, {1, 2}, options, nullptr));
  for (const int every : {2, 3, 5, 7}) {
    if (check::is_quick() && every != 3) continue;
    const auto text = begin(models.large, {1, 2}, options,
                            speculation(models, drafts_of(&models.small, true, 80), options));
    int n_calls = 0;
    while (!text->finished()) {
      try {
        text->run([&] {
          if (++n_calls % every == 0) throw Stop();
        });
      } catch (const Stop&) {
      }
    }
    CHECK(same(text->state(), expected));
  }
}

// It draws with the same random numbers, so all it drafts is right.
void test_a_draft_that_is_the_model_itself(const Models& models) {
  TextOptions options = base(61);
  options.sampling.top_k = 0;
  const auto text = begin(models.large, {5}, options,
                          speculation(models, drafts_of(&models.large, false, 80), options));
  const TextTimings took = finished(*text).timings;
  CHECK(took.accepted_tokens == took.draft_tokens && took.draft_tokens > 40);
  CHECK(took.decode_tokens == 60 && took.decode_passes == 60 - took.accepted_tokens);
}

void test_what_does_not_fit(const Models& models) {
  const TinyModel other = tiny_model({.n_ctx = 80, .n_vocab = 49});
  const auto is_refused = [&](const SpeculationOptions& options, const TextOptions& text) {
    return throws<std::invalid_argument>([&] { speculation(models, options, text); });
  };
  CHECK(is_refused(drafts_of(&other, false, 80), base(1)));
  for (const auto& [least, most] : {std::pair{0, 0}, {0, 16}, {-1, 5}, {6, 5}, {INT32_MIN, 1}}) {
    SpeculationOptions options = drafts_of(nullptr, true, 0);
    options.min_draft = least;
    options.max_draft = most;
    CHECK(is_refused(options, base(1)));
  }
  CHECK(speculation(models, {}, base(1)) == nullptr);
}

// ---- the model that drafts ----

// However many tokens were accepted: its contexts are those of the text and its draft.
void test_a_draft_that_slides_stays_in_step(const Models& models, int n_last, int n_first) {
  const SlideOptions slide{true, n_first, 30 - n_first - n_last};
  const ContextOptions contexts{0, kType};
  const auto& model = models.short_one.model;
  Random random(static_cast<uint32_t>(100 * n_last + n_first));
  ModelDrafter drafter(model, contexts, slide);
  std::vector<int32_t> text = {1, 2};
  const Sampler sampler{SamplerOptions{}};
  for (int step = 0; step < (check::is_quick() ? 10 : 40); ++step) {
    struct Stop {};
    int n_left = random.below(4);
    try {
      drafter.draft(text, 5, sampler, nullptr, [&] {
        if (n_left-- == 0) throw Stop();
      });
    } catch (const Stop&) {
    }
    text.push_back(random.below(50));
    const std::vector<int32_t> drafted =
        drafter.draft(text, random.between(1, kMaxDraft), sampler, nullptr, {});
    CHECK(!drafted.empty());
    std::vector<int32_t> all = text;
    all.insert(all.end(), drafted.begin(), drafted.end() - 1);
    Window fresh(model, contexts, slide);
    // The next context begins in a pass after that of the kept tokens.
    const auto n_kept = std::min(all.size() - 1, static_cast<size_t>(n_first));
    if (n_kept > 0) fresh.append(std::span(all).first(n_kept), 1, {});
    fresh.append(all, 1, {});
    const Window::Contexts expected = fresh.contexts(), found = drafter.window().contexts();
    CHECK(drafter.window().length() == fresh.length());
    CHECK(drafter.window().context().tokens() == fresh.context().tokens());
    CHECK(found.index == expected.index && found.sequences.size() == expected.sequences.size());
    const size_t n = std::min(found.sequences.size(), expected.sequences.size());
    for (size_t i = 0; i < n; ++i) {
      CHECK(found.sequences[i]->tokens() == expected.sequences[i]->tokens());
    }
    CHECK(same_bits(drafter.window().logits_after(fresh.length()).all,
                    fresh.logits_after(fresh.length()).all));
    const auto n_accepted = random.between(0, static_cast<int>(drafted.size()));
    text.insert(text.end(), drafted.begin(), drafted.begin() + n_accepted);
    text.push_back(random.below(50));
  }
}

// ---- lookup ----

void test_lookup() {
  using Tokens = std::vector<int32_t>;
  const Sampler sampler{SamplerOptions{}};
  PromptLookup lookup;
  const auto draft = [&](PromptLookup& from, const Tokens& text, int n) {
    return from.draft(text, n, sampler, nullptr, {});
  };
  CHECK(draft(lookup, {1, 2, 3}, 5).empty());
  CHECK((draft(lookup, {1, 2, 3, 4, 1, 2}, 3) == Tokens{3, 4, 1}));
  CHECK((draft(lookup, {1, 2, 3, 4, 1, 2}, 7) == Tokens{3, 4, 1, 2, 3, 4, 1}));
  // The longest end that stood before counts, and of those the last.
  const Tokens text = {1, 2, 3, 4, 1, 2, 9, 1, 2, 5, 0, 8, 1, 2, 6, 0, 9, 1, 2};
  CHECK((draft(lookup, text, 2) == Tokens{5, 0}));
  PromptLookup other;
  CHECK(draft(other, {7}, 5).empty() && draft(other, {7, 7}, 5).empty());
  CHECK((draft(other, {7, 7, 7}, 3) == Tokens{7, 7, 7}));
}

// ---- pace ----

struct Pace {
  double accepted;          // the probability of each draft token
  double per_row, draft_s;  // a pass with n draft tokens takes 1 + per_row * n, a draft n * draft_s
  double prefill_s = 0;     // and that more where the draft model has not read the text
};

struct Spent {
  std::vector<int> numbers;  // of draft tokens in each pass
  double seconds = 0, tokens = 0;
};

Spent spend(const Pace& pace, int n_passes) {
  Random random(1);
  DraftSchedule schedule(0, 15, pace.draft_s);
  Spent spent;
  int n_before = 0;
  for (int i = 0; i < n_passes; ++i) {
    const int n = schedule.n_draft();
    if (n > 0) {
      const double drafting = pace.draft_s * n + (n_before == 0 ? pace.prefill_s : 0);
      schedule.record_draft(n, drafting);
      spent.seconds += drafting;
    }
    int n_accepted = 0;
    while (n_accepted < n && (random.uniform() + 1) / 2 < pace.accepted) ++n_accepted;
    schedule.record_pass(n, n_accepted, 1 + pace.per_row * n);
    spent.seconds += 1 + pace.per_row * n;
    spent.tokens += n_accepted + 1;
    spent.numbers.push_back(n_before = n);
  }
  return spent;
}

void test_pace_finds_what_pays() {
  const auto median_of_last = [](const Pace& pace) {
    std::vector<int> numbers = spend(pace, 400).numbers;
    std::nth_element(numbers.begin() + 200, numbers.begin() + 300, numbers.end());
    return numbers[300];
  };
  CHECK(median_of_last({.accepted = 0.98, .per_row = 0.02, .draft_s = 0}) >= 10);
  const int some = median_of_last({.accepted = 0.7, .per_row = 0.05, .draft_s = 0.05});
  CHECK(some >= 1 && some <= 6);
  const Spent half = spend({.accepted = 0.85, .per_row = 0.05, .draft_s = 0.5}, 400);
  CHECK(half.seconds < 0.9 * half.tokens);
}

// A text of 130 tokens and more takes 4% longer than without drafts at most.
void test_pace_loses_little_where_drafts_do_not_pay() {
  for (const Pace& pace : {Pace{.accepted = 0.5, .per_row = 0.1, .draft_s = 0.8, .prefill_s = 3},
                           Pace{.accepted = 0.02, .per_row = 0.1, .draft_s = 0},
                           Pace{.accepted = 0.1, .per_row = 0.15, .draft_s = 0.4, .prefill_s = 1},
                           Pace{.accepted = 0.3, .per_row = 0.3, .draft_s = 0.1, .prefill_s = 1}}) {
    for (const int n_passes : {130, 400, 2000}) {
      const Spent spent = spend(pace, n_passes);
      CHECK(spent.seconds < 1.04 * spent.tokens);
    }
  }
}

void test_pace_keeps_to_its_limits() {
  for (const auto& [least, most] : {std::pair{0, 1}, {3, 3}, {2, 9}, {15, 15}}) {
    DraftSchedule pace(least, most);
    Random random(3);
    for (int i = 0; i < 300; ++i) {
      const int n = pace.n_draft();
      CHECK(n >= least && n <= most);
      if (n > 0) pace.record_draft(n, random.below(3));
      pace.record_pass(n, random.between(0, n), random.below(3));
    }
  }
}

}  // namespace
}  // namespace gpt2edge::test

int main() {
  using namespace gpt2edge::test;
  const Models models{tiny_model({.n_ctx = 80, .n_vocab = 50}),
                      tiny_model({.n_ctx = 80, .n_vocab = 50, .seed = 2}),
                      tiny_model({.n_ctx = 30, .n_vocab = 50, .seed = 3})};
  test_any_drafts(models);
  test_in_a_batch(models);
  test_own_drafters(models);
  test_interrupts(models);
  test_a_draft_that_is_the_model_itself(models);
  test_what_does_not_fit(models);
  for (const auto& [n_last, n_first] : {std::pair{1, 0}, {19, 9}, {5, 20}, {29, 0}, {10, 0}}) {
    test_a_draft_that_slides_stays_in_step(models, n_last, n_first);
  }
  test_lookup();
  test_pace_finds_what_pays();
  test_pace_loses_little_where_drafts_do_not_pay();
  test_pace_keeps_to_its_limits();
  return check::done();
}
