#include "generate/score.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>

#include "base/error.h"
#include "generate/row_jobs.h"

namespace gpt2edge {
namespace {

constexpr size_t kScoredRows = 128;  // 26 MB of logits with GPT-2's vocabulary

void check(const ScoredPart& part) {
  if (part.tokens.size() != part.targets.size()) {
    throw std::invalid_argument(message("there are ", part.tokens.size(), " tokens and ",
                                        part.targets.size(), " targets, expected as many"));
  }
  const int n_vocab = part.sequence->model().config().n_vocab;
  for (const int32_t target : part.targets) {
    if (target >= 0 && target < n_vocab) continue;
    throw std::out_of_range(
        message("token ", target, " is not in the vocabulary of ", n_vocab, " tokens"));
  }
}

// A row of logits for each target, and all threads for the rows.
std::vector<TopLogprobs> top_of(Model& model, const float* logits, std::span<const int32_t> targets,
                                int n_top) {
  const auto n_vocab = static_cast<size_t>(model.config().n_vocab);
  std::vector<TopLogprobs> scores(targets.size());
  for_each_row(model, targets.size(), [&](size_t i) {
    scores[i] = log_softmax_top({logits + n_vocab * i, n_vocab}, targets[i], n_top);
  });
  return scores;
}

}  // namespace

std::vector<std::vector<TopLogprobs>> append_and_rank(std::span<const ScoredPart> parts, int n_top,
                                                      const Interrupt& interrupt) {
  if (n_top < 0) throw std::invalid_argument(message("n_top is ", n_top, "; give 0 or more"));
  size_t n_rows = 0;
  for (const ScoredPart& part : parts) {
    check(part);
    n_rows += part.tokens.size();
  }
  if (n_rows == 0) return std::vector<std::vector<TopLogprobs>>(parts.size());
  const auto n_vocab = static_cast<size_t>(parts.front().sequence->model().config().n_vocab);
  const auto logits = std::make_unique_for_overwrite<float[]>(n_rows * n_vocab);
  std::vector<Sequence::Part> appended;
  float* row = logits.get();
  for (const ScoredPart& part : parts) {
    appended.push_back({part.sequence, part.tokens, 1, row});
    row += part.tokens.size() * n_vocab;
  }
  Sequence::append(appended, interrupt);

  std::vector<int32_t> targets;
  for (const ScoredPart& part : parts) {
    targets.insert(targets.end(), part.targets.begin(), part.targets.end());
  }
  auto scores = top_of(parts.front().sequence->model(), logits.get(), targets, n_top);
  std::vector<std::vector<TopLogprobs>> of_parts;
  auto next = std::make_move_iterator(scores.begin());
  for (const ScoredPart& part : parts) {
    const auto end = next + static_cast<std::ptrdiff_t>(part.targets.size());
    of_parts.emplace_back(next, end);
    next = end;
  }
  return of_parts;
}

std::vector<std::vector<float>> append_and_score(std::span<const ScoredPart> parts,
                                                 const Interrupt& interrupt) {
  std::vector<std::vector<float>> of_parts;
  for (const auto& ranked : append_and_rank(parts, 0, interrupt)) {
    std::vector<float>& scores = of_parts.emplace_back();
    for (const TopLogprobs& target : ranked) scores.push_back(target.chosen);
  }
  return of_parts;
}

std::vector<float> score(std::shared_ptr<Model> model, const ContextOptions& contexts,
                         int32_t start, std::span<const int32_t> tokens,
                         const Interrupt& interrupt) {
  Sequence sequence(model, contexts.positions(*model), contexts.cache_type);
  std::vector<int32_t> inputs{start};
  if (!tokens.empty()) inputs.insert(inputs.end(), tokens.begin(), tokens.end() - 1);
  inputs.resize(tokens.size());
  sequence.check(inputs);
  std::vector<float> scores;
  for (size_t first = 0; first < tokens.size(); first = scores.size()) {
    const size_t n = std::min(kScoredRows, tokens.size() - first);
    const ScoredPart part{&sequence, std::span(inputs).subspan(first, n), tokens.subspan(first, n)};
    const auto found = append_and_score({&part, 1}, interrupt);
    scores.insert(scores.end(), found.front().begin(), found.front().end());
  }
  return scores;
}

}  // namespace gpt2edge
