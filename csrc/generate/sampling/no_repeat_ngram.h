// No n-gram occurs twice.
#pragma once

#include <cstdint>
#include <span>

#include "generate/sampling/logit_row.h"

namespace gpt2edge {

// Bans each token that would end a run of n tokens, n >= 1, that the text has already.
// Source: Paulus et al., "A Deep Reinforced Model for Abstractive Summarization", ICLR 2018,
// section 2.5; in fairseq's form, which transformers has as no_repeat_ngram_size.
void ban_repeated_ngrams(const LogitRow& row, std::span<const int32_t> text, int n);

}  // namespace gpt2edge
