#include "generate/words/word_search.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "generate/sampling/candidates.h"

namespace gpt2edge {
namespace {

constexpr size_t kMaxChildren = 256;       // of one node: more than can be looked into
constexpr double kPrefixTolerance = 0.01;  // share of the prefix's probability that may be missing
constexpr double kNegligible =
    0.001;  // words less probable are not looked for, if there are others

// read_word, counting the space before the word.
ReadWord read_after_space(std::string_view data) {
  ReadWord word = read_word(without_space(data));
  if (word.n > 0) word.n += data.size() - without_space(data).size();
  return word;
}

void keep_most_probable(size_t n, std::vector<SearchNode>& nodes) {
  std::stable_sort(nodes.begin(), nodes.end(), [](const SearchNode& a, const SearchNode& b) {
    return a.probability > b.probability;
  });
  nodes.resize(std::min(n, nodes.size()));
}

void erase(std::vector<SearchNode>& nodes, const std::vector<int32_t>& path) {
  std::erase_if(nodes, [&](const SearchNode& node) { return node.path == path; });
}

}  // namespace

bool WordSearch::QueueEntry::operator<(const QueueEntry& other) const {
  return probability != other.probability ? probability < other.probability : number > other.number;
}

WordSearch::WordSearch(WordVocabulary& vocabulary, const PartialWord& partial, size_t k,
                       size_t max_path)
    : vocabulary_(vocabulary),
      partial_(partial),
      k_(k),
      max_path_(max_path),
      prefix_probability_(partial.prefix.empty() ? 1 : 0) {}

std::vector<SearchNode> WordSearch::best(size_t n) {
  double bound = min_probability();
  std::vector<SearchNode> beyond;
  std::copy_if(pending_.begin(), pending_.end(), std::back_inserter(beyond),
               [=](const SearchNode& node) { return node.probability > bound; });
  for (SearchNode node; beyond.size() < n && next_open(bound, node);) {
    pending_.push_back(node);
    beyond.push_back(std::move(node));
    bound = min_probability();  // some words are complete when they are read
  }
  double left_out = 0;
  for (const SearchNode& node : within_prefix_) left_out += node.probability;
  const bool is_settled = left_out <= kPrefixTolerance * prefix_probability_;
  std::vector<SearchNode> inside;
  std::copy_if(within_prefix_.begin(), within_prefix_.end(), std::back_inserter(inside),
               [=](const SearchNode& node) { return node.probability > bound || !is_settled; });
  // Nodes within the prefix include other texts in their probability: they get half of the batch.
  keep_most_probable(std::max(n / 2, n - std::min(n, inside.size())), beyond);
  keep_most_probable(n - beyond.size(), inside);
  std::move(inside.begin(), inside.end(), std::back_inserter(beyond));
  return beyond;
}

void WordSearch::expand_path(std::span<const int32_t> path, Distributions following) {
  std::vector<SearchNode> nodes(1);
  for (size_t i = 0; i < path.size(); ++i) {
    const double share = following[i]->probability(path[i]);
    nodes.push_back(child(nodes[i], path[i], nodes[i].probability * share));
  }
  expand(nodes, following);
}

void WordSearch::expand(std::span<const SearchNode> nodes, Distributions following) {
  std::vector<Children> found;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const SearchNode& node = nodes[i];
    expanded_.insert(node.path);
    erase(within_prefix_, node.path);
    erase(pending_, node.path);
    const bool is_inside = node.data.size() < partial_.prefix.size();
    found.push_back(is_inside ? expand_prefix(node, *following[i])
                              : expand_word(node, *following[i]));
  }
  // The words that end here raise the bound: most children are dropped.
  for (Children& children : found) add_children(std::move(children));
}

std::vector<WordSuggestion> WordSearch::suggestions() const {
  std::vector<std::pair<std::string_view, double>> best(words_.begin(), words_.end());
  std::stable_sort(best.begin(), best.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  best.resize(std::min(k_, best.size()));
  std::vector<WordSuggestion> found;
  for (const auto& [data, probability] : best) {
    found.push_back({std::string(without_space(data)),
                     std::string(data.substr(partial_.prefix.size())),
                     std::min(1.0, probability / prefix_probability_)});
  }
  return found;
}

WordSearch::Children WordSearch::expand_prefix(const SearchNode& node,
                                               const Distribution& following) {
  const std::string_view rest = partial_.prefix.substr(node.data.size());
  for (const int32_t token : vocabulary_.proper_beginnings(rest)) {
    SearchNode longer = child(node, token, node.probability * following.probability(token));
    if (is_new(longer)) within_prefix_.push_back(std::move(longer));
  }
  Children whole = children_of(node, vocabulary_.beginning_with(rest), following);
  prefix_probability_ += node.probability * whole.share;
  return whole;
}

WordSearch::Children WordSearch::expand_word(const SearchNode& node,
                                             const Distribution& following) {
  const bool may_space = partial_.may_space && node.data.empty();
  const auto continuing = vocabulary_.continuing(without_space(node.data), may_space);
  Children longer = children_of(node, *continuing, following);
  const size_t n_word = read_after_space(node.data).n;
  add_word(std::string_view(node.data).substr(0, n_word), node.probability * (1 - longer.share));
  return longer;
}

WordSearch::Children WordSearch::children_of(const SearchNode& node,
                                             std::span<const int32_t> tokens,
                                             const Distribution& following) {
  weights_.resize(std::max(weights_.size(), tokens.size()));
  const std::span weights = std::span(weights_).first(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) weights[i] = following.weight(tokens[i]);
  Children children{node, sum_of(weights) / following.total(), {}, {}};
  const double scale = node.probability / following.total();
  const double bound = min_probability();
  if (bound >= scale) return children;  // no weight is above 1
  std::vector<Candidate> best;
  select_best({weights}, kMaxChildren, best, static_cast<float>(bound / scale));
  for (const Candidate& candidate : best) {
    children.tokens.push_back(tokens[static_cast<size_t>(candidate.token)]);
    children.probabilities.push_back(double{candidate.logit} * scale);
  }
  return children;
}

void WordSearch::add_word(std::string_view data, double probability) {
  if (data.empty() || data.size() < partial_.prefix.size() || !(probability > 0)) return;
  words_[std::string(data)] += probability;
}

void WordSearch::add_children(Children children) {
  // What is no better than k words already is out.
  const double bound = min_probability();
  const auto end = std::find_if(children.probabilities.begin(), children.probabilities.end(),
                                [=](double probability) { return !(probability > bound); });
  children.probabilities.erase(end, children.probabilities.end());
  if (!children.probabilities.empty()) {
    enqueue(std::make_shared<const Children>(std::move(children)), 0);
  }
}

void WordSearch::enqueue(std::shared_ptr<const Children> children, size_t index) {
  const double probability = children->probabilities[index];
  queue_.push({probability, ++n_queued_, std::move(children), index});
}

// The most probable node that is not complete, if it is more probable than `bound`.
bool WordSearch::next_open(double bound, SearchNode& node) {
  while (!queue_.empty() && queue_.top().probability > bound) {
    const QueueEntry next = queue_.top();
    queue_.pop();
    if (next.index + 1 < next.children->probabilities.size()) {
      enqueue(next.children, next.index + 1);
    }
    node = child(next.children->node, next.children->tokens[next.index], next.probability);
    const ReadWord word = read_after_space(node.data);
    if (word.ended) {  // by the token that the word is in, or it is none
      add_word(std::string_view(node.data).substr(0, word.n), node.probability);
    } else if (is_new(node)) {
      return true;
    }
  }
  return false;
}

bool WordSearch::is_new(const SearchNode& node) const {
  const bool can_be_computed = node.path.size() <= max_path_ && node.probability > 0;
  return can_be_computed && !expanded_.contains(node.path);
}

SearchNode WordSearch::child(const SearchNode& node, int32_t token, double probability) const {
  SearchNode longer{node.path, node.data, probability};
  longer.path.push_back(token);
  longer.data += vocabulary_.text(token);
  return longer;
}

// The probability that a word must exceed to be among the best k and not negligible.
double WordSearch::min_probability() const {
  if (words_.size() < k_) return 0;
  std::vector<double> probabilities;
  for (const auto& [word, probability] : words_) probabilities.push_back(probability);
  const auto kth = probabilities.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
  std::nth_element(probabilities.begin(), kth, probabilities.end(), std::greater<>());
  return std::max(*kth, kNegligible * prefix_probability_);
}

}  // namespace gpt2edge
