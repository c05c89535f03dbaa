// Penalties for tokens that the text has already: repetition, frequency and presence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "generate/sampling/logit_row.h"
#include "generate/sampling/sampler_options.h"

namespace gpt2edge {

class Penalties {
 public:
  explicit Penalties(const SamplerOptions& options);

  void accept(int32_t token, bool is_generated);
  void clear();

  // Whether there is anything to penalize.
  bool any() const { return !counts_.empty(); }
  void apply(const LogitRow& row) const;

 private:
  struct Counts {
    int64_t total = 0;
    int64_t generated = 0;
  };
  struct Entry {
    int32_t token;
    bool is_generated;
  };

  void remove(const Entry& entry);

  double repetition_, frequency_, presence_;
  int last_n_;                                  // 0: all is off
  std::unordered_map<int32_t, Counts> counts_;  // of the window
  std::vector<Entry> window_;                   // ring of the last last_n_ tokens
  size_t window_next_ = 0;
};

}  // namespace gpt2edge
