// How the tokens of vocabularies that are not GPT-2's are spelled in a GGUF, and the text they are.
//
// llama.cpp writes them so. "▁" (U+2581) stands for a space. A vocabulary of word pieces has it
// before each token that begins a word, "##" before the others is left out, and names in brackets
// ("[SEP]") stand as they are. SentencePiece's tokens have it wherever a space is, and those of
// single bytes, "<0x0A>", have a type of their own.
// Source: llama.cpp (its converter, and its code of vocabularies), MIT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gpt2edge {

enum class Spelling { kByteAlphabet, kWordPieces, kSentencePieces };

constexpr int32_t kByteToken = 6;  // GGUF's type of SentencePiece's tokens of single bytes

// The text of a word piece behind another. Punctuation follows without the space, as BERT's
// tokenizers have it.
std::string text_of_word_piece(std::string_view token);

// The bytes of one of SentencePiece's tokens.
std::string bytes_of_sentence_piece(std::string_view token, int32_t type);

}  // namespace gpt2edge
