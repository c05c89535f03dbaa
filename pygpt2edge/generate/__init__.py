"""One text: the loop that writes it, saved texts, beams and next words, its results."""
