// The most probable words after a text.
//
// The context is the text before the partial word, without the space between: the probabilities of
// the next tokens then cover all tokenizations of a word. A best-first search expands sequences of
// tokens. The probability of a sequence is an upper bound for every word that begins with it, which
// ends the search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/words/distribution.h"
#include "generate/words/word.h"
#include "generate/words/word_vocabulary.h"

namespace gpt2edge {

struct WordSuggestion {
  std::string word;
  std::string completion;  // what the text lacks of it, with a space first where there is to be one
  double probability;      // given the text, the partial word included
};

// Tokens after the context, their bytes, and their probability.
struct SearchNode {
  std::vector<int32_t> path;
  std::string data;
  double probability = 1;
};

// The caller computes the distributions of a batch of nodes and passes them to `expand`. Nodes that
// are shorter than the partial word are expanded also for the probability of that prefix.
class WordSearch {
 public:
  using Distributions = std::span<const Distribution* const>;

  // For the best k words by paths of up to max_path tokens. The text of `partial` and the
  // vocabulary must outlive the search.
  WordSearch(WordVocabulary& vocabulary, const PartialWord& partial, size_t k, size_t max_path);

  // The nodes to expand next, up to n; none when the search is done.
  std::vector<SearchNode> best(size_t n);

  // Expands the root and the nodes of a path from there, with one distribution more than tokens.
  // Throws std::invalid_argument for a token that is none.
  void expand_path(std::span<const int32_t> path, Distributions following);

  // Expands nodes by the distributions after them.
  void expand(std::span<const SearchNode> nodes, Distributions following);

  // The best k words so far, the most probable first.
  std::vector<WordSuggestion> suggestions() const;

 private:
  // Tokens after a node that are worth expanding, the most probable first.
  struct Children {
    SearchNode node;
    double share;  // of the node's probability, that of all children
    std::vector<int32_t> tokens;
    std::vector<double> probabilities;
  };
  // The next child of a node.
  struct QueueEntry {
    double probability;
    int64_t number;  // settles ties
    std::shared_ptr<const Children> children;
    size_t index;
    bool operator<(const QueueEntry& other) const;
  };

  Children expand_prefix(const SearchNode& node, const Distribution& following);
  Children expand_word(const SearchNode& node, const Distribution& following);
  Children children_of(const SearchNode& node, std::span<const int32_t> tokens,
                       const Distribution& following);
  void add_word(std::string_view data, double probability);
  void add_children(Children children);
  void enqueue(std::shared_ptr<const Children> children, size_t index);
  bool next_open(double bound, SearchNode& node);
  bool is_new(const SearchNode& node) const;
  SearchNode child(const SearchNode& node, int32_t token, double probability) const;
  double min_probability() const;

  WordVocabulary& vocabulary_;
  PartialWord partial_;
  size_t k_, max_path_;
  std::map<std::string, double, std::less<>> words_;  // by their bytes after the context
  double prefix_probability_;
  std::priority_queue<QueueEntry> queue_;
  int64_t n_queued_ = 0;
  std::vector<SearchNode> within_prefix_;
  std::vector<SearchNode> pending_;  // taken from the queue
  std::set<std::vector<int32_t>> expanded_;
  std::vector<float> weights_;  // of some tokens; reused
};

}  // namespace gpt2edge
