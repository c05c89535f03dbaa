/* Writes text after a prompt, piece by piece: generate MODEL PROMPT SEED MAX_TOKENS */
#include <gpt2edge.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(void) {
  fprintf(stderr, "generate: %s\n", gpt2edge_error_message());
  return EXIT_FAILURE;
}

static int write_pieces(gpt2edge_text* text) {
  gpt2edge_piece piece = {.size = sizeof piece};
  gpt2edge_status status;
  while ((status = gpt2edge_text_next(text, &piece)) == GPT2EDGE_OK) {
    fwrite(piece.text, 1, piece.n_text, stdout);
    fflush(stdout);
  }
  return status == GPT2EDGE_END ? EXIT_SUCCESS : failed();
}

static int generate(gpt2edge_model* model, const char* prompt, uint64_t seed, int64_t max_tokens) {
  gpt2edge_text_options options;
  gpt2edge_text_options_init(&options, sizeof options);
  options.has_seed = 1;
  options.seed = seed;
  options.max_tokens = max_tokens;

  gpt2edge_text* text;
  if (gpt2edge_text_open(model, prompt, GPT2EDGE_NUL, &options, &text) != GPT2EDGE_OK) {
    return failed();
  }
  const int result = write_pieces(text);
  gpt2edge_text_close(text);
  return result;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: generate MODEL PROMPT SEED MAX_TOKENS\n");
    return 2;
  }
  const uint64_t seed = strtoull(argv[3], NULL, 10);
  const int64_t max_tokens = strtoll(argv[4], NULL, 10);

  gpt2edge_model* model;
  if (gpt2edge_model_open(argv[1], NULL, &model) != GPT2EDGE_OK) return failed();
  const int result = generate(model, argv[2], seed, max_tokens);
  gpt2edge_model_close(model);
  return result;
}
