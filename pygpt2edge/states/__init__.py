"""What a model's hidden states tell of texts: vectors, and the labels of a classifier."""
