"""Inspecting a model: scores, ranks, attention, evaluation, speed."""
