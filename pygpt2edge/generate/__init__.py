"""One text: its options, the loop that writes it, its window, guesses and beams, its results."""
