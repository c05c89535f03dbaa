// Text::step: one pass for many texts.
#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>

#include "generate/text.h"

namespace gpt2edge {
namespace {

// Prompt tokens of a step: beside texts that decode, which wait for them, and alone.
constexpr size_t kPrefillBeside = 64, kPrefillAlone = 256;

// A fixed lock order: two steps with texts in common must not deadlock.
std::vector<Text*> in_order(std::span<Text* const> texts) {
  std::vector<Text*> sorted(texts.begin(), texts.end());
  std::sort(sorted.begin(), sorted.end(), std::less<>());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw std::invalid_argument("a text comes twice: one step is one step of each");
  }
  return sorted;
}

}  // namespace

void Text::step(std::span<Text* const> texts, const Interrupt& interrupt) {
  std::vector<std::unique_lock<WorkMutex>> locks;
  for (Text* text : in_order(texts)) locks.push_back(text->lock());

  for (Text* text : texts) {
    if (!text->is_over() && !text->ends_early()) text->start_constraint();
  }
  // A long run of forced tokens is read as a prompt is.
  const auto is_prefill = [](const Text* text) {
    return text->is_reading() || text->n_pending() > 1 + text->n_draft_ + kMaxDraft;
  };
  const auto n_prefill = static_cast<size_t>(std::count_if(texts.begin(), texts.end(), is_prefill));
  const size_t all = n_prefill < texts.size() ? kPrefillBeside : kPrefillAlone;
  const size_t share = std::max<size_t>(1, all / std::max<size_t>(1, n_prefill));
  const auto start = std::chrono::steady_clock::now();
  std::vector<Text*> running;
  std::vector<Sequence::Part> parts;
  for (Text* text : texts) {
    if (text->is_over()) continue;
    running.push_back(text);
    text->plan(is_prefill(text) ? std::min(share, text->n_pending()) : text->n_pending(), parts);
  }
  Sequence::append(parts, interrupt);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  for (Text* text : running) text->commit(took.count());
  for (Text* text : running) text->draft_next(interrupt);
}

}  // namespace gpt2edge
