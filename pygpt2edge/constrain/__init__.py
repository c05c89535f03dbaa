"""Constrained output: keeps a text within a language, by llguidance."""
