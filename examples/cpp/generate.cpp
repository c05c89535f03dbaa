// Writes text after a prompt, piece by piece: generate MODEL PROMPT SEED MAX_TOKENS
#include <exception>
#include <iostream>
#include <string>

#include "gpt2edge.hpp"

int main(int argc, char** argv) try {
  if (argc != 5) {
    std::cerr << "usage: generate MODEL PROMPT SEED MAX_TOKENS\n";
    return 2;
  }
  gpt2edge::TextOptions options;
  options.has_seed = 1;
  options.seed = std::stoull(argv[3]);
  options.max_tokens = std::stoll(argv[4]);

  const gpt2edge::Model model(argv[1]);
  gpt2edge::Text text(model, argv[2], options);
  while (const auto piece = text.next()) std::cout << *piece << std::flush;
  return 0;
} catch (const std::exception& error) {
  std::cerr << "generate: " << error.what() << '\n';
  return 1;
}
