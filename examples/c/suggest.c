/* What a keyboard shows: suggest MODEL
 *
 * Each line of standard input is the text as it is so far. The answer to it is one line of three
 * words, with tabs between them. The suggester keeps what it has computed of the line before, so
 * that one more letter takes milliseconds.
 */
#include <gpt2edge.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_WORDS = 3, LONGEST_LINE = 4096 };

static int failed(void) {
  fprintf(stderr, "suggest: %s\n", gpt2edge_error_message());
  return EXIT_FAILURE;
}

static int answer(gpt2edge_suggester* suggester, const char* text, size_t n_text) {
  const gpt2edge_word* words;
  size_t n_words;
  if (gpt2edge_suggest(suggester, text, n_text, N_WORDS, &words, &n_words) != GPT2EDGE_OK) {
    return failed();
  }
  for (size_t i = 0; i < n_words; ++i) printf("%s%s", i == 0 ? "" : "\t", words[i].word);
  printf("\n");
  fflush(stdout);
  return EXIT_SUCCESS;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: suggest MODEL\n");
    return 2;
  }
  gpt2edge_model* model;
  gpt2edge_suggester* suggester;
  if (gpt2edge_model_open(argv[1], NULL, &model) != GPT2EDGE_OK ||
      gpt2edge_suggester_open(model, &suggester) != GPT2EDGE_OK) {
    return failed();
  }
  char line[LONGEST_LINE];
  int result = EXIT_SUCCESS;
  while (result == EXIT_SUCCESS && fgets(line, sizeof line, stdin) != NULL) {
    result = answer(suggester, line, strcspn(line, "\n"));
  }
  gpt2edge_suggester_close(suggester);
  gpt2edge_model_close(model);
  return result;
}
