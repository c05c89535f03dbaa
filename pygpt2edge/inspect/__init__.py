"""What looks at a model: scores, ranks, attention, evaluation, speed."""
