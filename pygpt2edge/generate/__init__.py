"""One text: generation, saved texts, beam search, next words, results."""
