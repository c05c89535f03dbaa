#include "generate/score.h"

#include <memory>
#include <stdexcept>

#include "base/error.h"
#include "generate/logprobs.h"

namespace gpt2edge {
namespace {

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

}  // namespace

std::vector<std::vector<float>> append_and_score(std::span<const ScoredPart> parts,
                                                 const Interrupt& interrupt) {
  size_t n_rows = 0;
  for (const ScoredPart& part : parts) {
    check(part);
    n_rows += part.tokens.size();
  }
  if (n_rows == 0) return std::vector<std::vector<float>>(parts.size());
  const auto n_vocab = static_cast<size_t>(parts.front().sequence->model().config().n_vocab);
  const auto logits = std::make_unique_for_overwrite<float[]>(n_rows * n_vocab);
  std::vector<Sequence::Part> appended;
  float* row = logits.get();
  for (const ScoredPart& part : parts) {
    appended.push_back({part.sequence, part.tokens, 1, row});
    row += part.tokens.size() * n_vocab;
  }
  Sequence::append(appended, interrupt);

  std::vector<std::vector<float>> scores;
  row = logits.get();
  for (const ScoredPart& part : parts) {
    std::vector<float>& of_part = scores.emplace_back();
    for (const int32_t target : part.targets) {
      of_part.push_back(log_softmax_top({row, n_vocab}, target, 0).chosen);
      row += n_vocab;
    }
  }
  return scores;
}

}  // namespace gpt2edge
