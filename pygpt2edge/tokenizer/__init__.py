"""Text to token ids and back."""

from pygpt2edge.tokenizer.tokenizer import END_OF_TEXT, Tokenizer, whole_characters

__all__ = ["END_OF_TEXT", "Tokenizer", "whole_characters"]
