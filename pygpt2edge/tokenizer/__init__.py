"""Text to token ids and back."""

from pygpt2edge.tokenizer.reading import HUGGING_FACE_KEY, read_tokenizer
from pygpt2edge.tokenizer.tokenizer import END_OF_TEXT, Tokenizer, whole_characters

__all__ = ["END_OF_TEXT", "HUGGING_FACE_KEY", "Tokenizer", "read_tokenizer", "whole_characters"]
