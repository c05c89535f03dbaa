/* gpt2edge: GPT-2 text generation on CPUs, as a C library.
 *
 *   gpt2edge_model* model;
 *   gpt2edge_text* text;
 *   gpt2edge_piece piece = {.size = sizeof piece};
 *   if (gpt2edge_model_open("gpt2-q8_0.gguf", NULL, &model) != GPT2EDGE_OK ||
 *       gpt2edge_text_open(model, "Once upon a time", GPT2EDGE_NUL, NULL, &text) != GPT2EDGE_OK) {
 *     fprintf(stderr, "%s\n", gpt2edge_error_message());
 *   }
 *   while (gpt2edge_text_next(text, &piece) == GPT2EDGE_OK) fwrite(piece.text, 1, piece.n_text,
 * stdout);
 *
 * Status. Every function that can fail returns a gpt2edge_status: GPT2EDGE_OK, or GPT2EDGE_END
 * where there is no more, or a negative number for an error. gpt2edge_error_message() says in one
 * line what went wrong in the calling thread's last call that failed. Results are written where the
 * call succeeds only. A call never aborts the process and no exception leaves it.
 *
 * Handles. A gpt2edge_file*, _model*, _session*, _text* or _suggester* is a number, not an address:
 * null, a closed handle, a handle of another kind and garbage give GPT2EDGE_ERROR_HANDLE. Each is
 * closed once by its own function; closing null does nothing. What a handle was made of may be
 * closed first: a text keeps its model. Addresses of buffers and structs must be the caller's: null
 * is an error where something is to be read or written, garbage cannot be told.
 *
 * Threads. Any function may be called from any thread, also on one handle; calls on one session,
 * text or suggester take turns, and so do passes over the weights of one model.
 * gpt2edge_text_cancel and the close functions do not wait.
 *
 * Structs begin with their size in bytes, set by the caller (or by the _init functions), so that
 * later versions can add fields at the end. Fields that the caller's version lacks have their
 * defaults; a caller that is newer than the library gets GPT2EDGE_ERROR_UNSUPPORTED where he sets a
 * field that the library does not know.
 *
 * Text is UTF-8. An argument `text` comes with its number of bytes, or GPT2EDGE_NUL for text that
 * ends with a null character. What is not UTF-8 counts as U+FFFD.
 *
 * Buffers. A function that fills an array takes its capacity and a place for the number of
 * elements. With a null array it only counts. With too small an array it returns
 * GPT2EDGE_ERROR_BUFFER, and has counted.
 *
 * Limits. A context has at most n_ctx tokens (1,024 for OpenAI's models); texts with
 * GPT2EDGE_OVERFLOW_SLIDE have no limit. Counts and token ids are checked; sizes that do not fit
 * the memory that is free give GPT2EDGE_ERROR_MEMORY before it is taken.
 *
 * Versions. Semantic: programs built for version 0.N.x work with every later 0.N.y. No two minor
 * versions below 1.0 need be compatible; the file name of the shared library tells them apart.
 */
#ifndef GPT2EDGE_H
#define GPT2EDGE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(GPT2EDGE_BUILDING)
#define GPT2EDGE_API __declspec(dllexport)
#elif defined(_WIN32) && !defined(GPT2EDGE_STATIC)
#define GPT2EDGE_API __declspec(dllimport)
#elif defined(__GNUC__)
#define GPT2EDGE_API __attribute__((visibility("default")))
#else
#define GPT2EDGE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GPT2EDGE_VERSION_MAJOR 0
#define GPT2EDGE_VERSION_MINOR 1
#define GPT2EDGE_VERSION_PATCH 0

/* For a text's number of bytes: it ends with a null character. */
#define GPT2EDGE_NUL SIZE_MAX

typedef int32_t gpt2edge_status;
enum {
  GPT2EDGE_OK = 0,
  GPT2EDGE_END = 1,                   /* there is no more; no error */
  GPT2EDGE_ERROR_ARGUMENT = -1,       /* out of range, null, no token ... */
  GPT2EDGE_ERROR_HANDLE = -2,         /* null, closed, of another kind, or garbage */
  GPT2EDGE_ERROR_BUFFER = -3,         /* too small; the number of elements is written */
  GPT2EDGE_ERROR_FILE = -4,           /* missing, unreadable, disk full */
  GPT2EDGE_ERROR_FORMAT = -5,         /* a damaged file, weights that give no numbers */
  GPT2EDGE_ERROR_UNSUPPORTED = -6,    /* sound, and not for this version */
  GPT2EDGE_ERROR_CONTEXT_LENGTH = -7, /* more tokens than positions */
  GPT2EDGE_ERROR_MEMORY = -8,         /* would not fit, or there was none */
  GPT2EDGE_ERROR_INTERRUPTED = -9,    /* the model's interrupt function asked for it */
  GPT2EDGE_ERROR_INTERNAL = -10       /* a defect of this library */
};

/* The library's own version, such as "0.1.0". */
GPT2EDGE_API const char* gpt2edge_version(void);

/* What went wrong in this thread's last call that failed: one line, in English. Empty before there
 * was one. Valid until the thread's next call that fails. */
GPT2EDGE_API const char* gpt2edge_error_message(void);

/* ---- model files --------------------------------------------------------------------------- */

/* A GGUF file that is open, and not loaded. */
typedef struct gpt2edge_file gpt2edge_file;

/* The path is UTF-8 on Windows, and the system's bytes elsewhere. */
GPT2EDGE_API gpt2edge_status gpt2edge_file_open(const char* path, gpt2edge_file** file);

/* A regular file, from its first byte on. The descriptor stays the caller's, and may be closed
 * afterwards. For apps that are given descriptors, as on Android. */
GPT2EDGE_API gpt2edge_status gpt2edge_file_open_descriptor(int descriptor, gpt2edge_file** file);

/* Bytes in memory. They must stay there, and as they are, until the file is closed; models that
 * were loaded from it do not need them. */
GPT2EDGE_API gpt2edge_status gpt2edge_file_open_bytes(const void* bytes, size_t n_bytes,
                                                      gpt2edge_file** file);

GPT2EDGE_API gpt2edge_status gpt2edge_file_close(gpt2edge_file* file);

/* The shape of a model. */
typedef struct gpt2edge_config {
  size_t size;
  int32_t n_layer, n_head, n_embd, n_inner;
  int32_t n_ctx;                /* positions */
  int32_t n_vocab;              /* token ids are 0 to n_vocab - 1 */
  int32_t bos_token, eos_token; /* -1 where there is none */
} gpt2edge_config;

GPT2EDGE_API gpt2edge_status gpt2edge_file_config(gpt2edge_file* file, gpt2edge_config* config);

/* A tensor of a file. The strings are valid until the file is closed. */
typedef struct gpt2edge_tensor {
  size_t size;
  const char* name;
  const char* type; /* ggml's name, such as "Q8_0" */
  int32_t n_dims;
  int64_t dims[4]; /* the slowest first: (n_out, n_in) */
  uint64_t n_bytes;
} gpt2edge_tensor;

/* Returns GPT2EDGE_END for an index that is not below the number of tensors. */
GPT2EDGE_API gpt2edge_status gpt2edge_file_tensor(gpt2edge_file* file, size_t index,
                                                  gpt2edge_tensor* tensor);

/* ---- models -------------------------------------------------------------------------------- */

/* Weights in memory, threads that compute, and a tokenizer. */
typedef struct gpt2edge_model gpt2edge_model;

/* How keys and values are kept. */
enum {
  GPT2EDGE_KV_DEFAULT = 0, /* f32 for a model stored in f32, else f16 */
  GPT2EDGE_KV_F32 = 1,
  GPT2EDGE_KV_F16 = 2,
  GPT2EDGE_KV_INT8 = 3,
  GPT2EDGE_KV_INT16 = 4
};

typedef struct gpt2edge_model_options {
  size_t size;
  int32_t n_threads; /* 0: one per physical core that this process may use */
  int32_t n_ctx;     /* the most tokens of a context; 0: as many as the model has positions */
  int32_t kv_type;   /* GPT2EDGE_KV_... */
  /* Called now and then during long passes, in the thread that computes; one that returns other
   * than 0 stops the pass, whose call returns GPT2EDGE_ERROR_INTERRUPTED. It may call
   * gpt2edge_text_cancel and nothing else of this library. Null: none. */
  int32_t (*interrupt)(void* user);
  void* user;
} gpt2edge_model_options;

/* Sets the defaults. `size` is sizeof(gpt2edge_model_options). */
GPT2EDGE_API gpt2edge_status gpt2edge_model_options_init(gpt2edge_model_options* options,
                                                         size_t size);

typedef struct gpt2edge_memory {
  size_t size;
  uint64_t weights;   /* bytes */
  uint64_t cache;     /* of the keys and values of one full context */
  uint64_t workspace; /* for the passes */
  uint64_t available; /* what this process can take; UINT64_MAX where the system does not say */
} gpt2edge_memory;

/* What a model will take, without loading it. Null options are the defaults, here and below. */
GPT2EDGE_API gpt2edge_status gpt2edge_file_memory(gpt2edge_file* file,
                                                  const gpt2edge_model_options* options,
                                                  gpt2edge_memory* memory);

/* Loads a model. Returns GPT2EDGE_ERROR_MEMORY before it begins, if the weights and one context do
 * not fit the memory that is free. The file may be closed afterwards. */
GPT2EDGE_API gpt2edge_status gpt2edge_model_load(gpt2edge_file* file,
                                                 const gpt2edge_model_options* options,
                                                 gpt2edge_model** model);

/* Opens a file, loads it and closes it. */
GPT2EDGE_API gpt2edge_status gpt2edge_model_open(const char* path,
                                                 const gpt2edge_model_options* options,
                                                 gpt2edge_model** model);

GPT2EDGE_API gpt2edge_status gpt2edge_model_close(gpt2edge_model* model);

GPT2EDGE_API gpt2edge_status gpt2edge_model_config(gpt2edge_model* model, gpt2edge_config* config);

/* ---- tokens -------------------------------------------------------------------------------- */

/* The token ids of a text; none for an empty one. With allow_special 0, the text of special tokens
 * such as "<|endoftext|>" is plain text: so text from strangers cannot end a document.
 * GPT2EDGE_ERROR_UNSUPPORTED for a model whose tokenizer is not GPT-2's (docs/converting.md), here
 * and wherever a text is given: it takes tokens. */
GPT2EDGE_API gpt2edge_status gpt2edge_encode(gpt2edge_model* model, const char* text, size_t n_text,
                                             int32_t allow_special, int32_t* tokens,
                                             size_t capacity, size_t* n_tokens);

/* The bytes of tokens, which need not be whole characters. No null character is added. */
GPT2EDGE_API gpt2edge_status gpt2edge_decode(gpt2edge_model* model, const int32_t* tokens,
                                             size_t n_tokens, char* text, size_t capacity,
                                             size_t* n_text);

/* ---- texts --------------------------------------------------------------------------------- */

/* A text in the making. */
typedef struct gpt2edge_text gpt2edge_text;

/* What happens when the context is full. */
enum {
  GPT2EDGE_OVERFLOW_STOP = 0,  /* the text ends */
  GPT2EDGE_OVERFLOW_ERROR = 1, /* GPT2EDGE_ERROR_CONTEXT_LENGTH */
  GPT2EDGE_OVERFLOW_SLIDE = 2  /* it goes on, and the model sees its end only */
};

/* Added to the logit of a token; -INFINITY bans it. */
typedef struct gpt2edge_logit_bias {
  int32_t token;
  float bias;
} gpt2edge_logit_bias;

/* May change the logits, float (n_vocab), of the token after these; called in the thread that
 * computes. A text is reproducible if this function is. */
typedef void (*gpt2edge_logits_processor)(void* user, float* logits, size_t n_vocab,
                                          const int32_t* tokens, size_t n_tokens);

/* The options of a text. Ranges and the order in which they act are in docs/options.md. Arrays and
 * strings are copied when the text is made. */
typedef struct gpt2edge_text_options {
  size_t size;
  int64_t max_tokens;      /* to add; 64. -1: until the context is full */
  const char* const* stop; /* the text ends before the first of these, which are UTF-8 */
  size_t n_stop;
  int32_t min_tokens;    /* 0 */
  int32_t ignore_eos;    /* 0; 1 goes on after an end-of-text token */
  double max_time;       /* seconds; -1: no limit */
  int32_t allow_special; /* 0; 1 reads "<|endoftext|>" in the prompt as the token */
  int32_t logprobs;      /* most likely tokens to report with each token; 0: no log-probabilities */

  int32_t has_seed; /* 0: a seed is drawn; 1: this one */
  uint64_t seed;
  double temperature;                       /* 0.8; 0 always takes the most likely token */
  int32_t top_k;                            /* 40; 0: all */
  double top_p;                             /* 1 */
  double min_p;                             /* 0 */
  double typical_p;                         /* 1 */
  double xtc_probability;                   /* 0 */
  double xtc_threshold;                     /* 0.1 */
  double repetition_penalty;                /* 1 */
  double frequency_penalty;                 /* 0 */
  double presence_penalty;                  /* 0 */
  int32_t penalty_last_n;                   /* -1: these three look at all tokens */
  int32_t no_repeat_ngram_size;             /* 0 */
  double dry_multiplier;                    /* 0 */
  double dry_base;                          /* 1.75 */
  int32_t dry_allowed_length;               /* 2 */
  int32_t dry_penalty_last_n;               /* -1: DRY looks at all tokens */
  const char* const* dry_sequence_breakers; /* null: "\n", ":", "\"" and "*" */
  size_t n_dry_sequence_breakers;
  const int32_t* suppress_tokens; /* never come */
  size_t n_suppress_tokens;
  const int32_t* begin_suppress_tokens; /* do not come first after the prompt */
  size_t n_begin_suppress_tokens;
  int32_t forced_first_token; /* -1: none */
  const gpt2edge_logit_bias* logit_bias;
  size_t n_logit_bias;
  gpt2edge_logits_processor logits_processor; /* null: none */
  void* logits_processor_user;

  int32_t context_overflow; /* GPT2EDGE_OVERFLOW_STOP */
  int32_t keep;    /* first tokens that stay when the context slides; 0; -1: the whole prompt */
  int32_t discard; /* tokens after those that leave each time; -1: half of them */

  gpt2edge_model* draft_model; /* a smaller model of the same vocabulary, or null */
  int32_t prompt_lookup;       /* 0; 1 drafts what came after the same tokens before */
  int32_t max_draft_tokens;    /* 15 */
} gpt2edge_text_options;

/* Sets the defaults. `size` is sizeof(gpt2edge_text_options). */
GPT2EDGE_API gpt2edge_status gpt2edge_text_options_init(gpt2edge_text_options* options,
                                                        size_t size);

/* Begins a text after a prompt. An empty prompt is the end-of-text token, which GPT-2 was trained
 * to see before every document. Null options are the defaults. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_open(gpt2edge_model* model, const char* prompt,
                                                size_t n_prompt,
                                                const gpt2edge_text_options* options,
                                                gpt2edge_text** text);
GPT2EDGE_API gpt2edge_status gpt2edge_text_open_tokens(gpt2edge_model* model, const int32_t* prompt,
                                                       size_t n_prompt,
                                                       const gpt2edge_text_options* options,
                                                       gpt2edge_text** text);

GPT2EDGE_API gpt2edge_status gpt2edge_text_close(gpt2edge_text* text);

typedef struct gpt2edge_token_logprob {
  int32_t token;
  float logprob; /* natural logarithm */
} gpt2edge_token_logprob;

/* A step of a text. `text` is whole characters, as far as the model writes UTF-8, followed by a
 * null character that does not count. It may be empty: what could be part of a stop string or of a
 * character waits for the next token. The last piece of a text may have no token. */
typedef struct gpt2edge_piece {
  size_t size;
  const char* text;
  size_t n_text;
  int32_t token; /* -1: none */
  float logprob; /* of the token, where log-probabilities are asked for */
  const gpt2edge_token_logprob*
      top; /* the most likely tokens, best first; null where not asked for */
  size_t n_top;
} gpt2edge_piece;

/* The next piece, which is computed if need be, or GPT2EDGE_END. What it points to is valid until
 * the next call that takes a piece of this text, or until it is closed. After
 * GPT2EDGE_ERROR_INTERRUPTED the text is as it was before; after GPT2EDGE_ERROR_MEMORY too, or it
 * has ended with that error, as gpt2edge_text_get_state says. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_next(gpt2edge_text* text, gpt2edge_piece* piece);

/* Goes on to the end of the text, and gives each piece to a function (or none, if that is null).
 * One that returns other than 0 cancels the text. It may not take pieces of the same text. */
typedef int32_t (*gpt2edge_piece_function)(void* user, const gpt2edge_piece* piece);
GPT2EDGE_API gpt2edge_status gpt2edge_text_run(gpt2edge_text* text,
                                               gpt2edge_piece_function function, void* user);

/* One step of several texts of one model, in one pass over its weights: many texts take little more
 * time than one, and each is what it would be alone. Their pieces are then there to be taken. What
 * ends one text by an error stays with it: gpt2edge_text_take returns it. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_step(gpt2edge_text* const* texts, size_t n_texts);

/* A piece that steps have left, or GPT2EDGE_END where there is none now: nothing is computed. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_take(gpt2edge_text* text, gpt2edge_piece* piece);

/* Ends a text within the step that is under way. May be called from any thread. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_cancel(gpt2edge_text* text);

enum {
  GPT2EDGE_FINISH_NONE = 0, /* it goes on, or ended in an error */
  GPT2EDGE_FINISH_STOP = 1, /* an end-of-text token or a stop string */
  GPT2EDGE_FINISH_LENGTH = 2,
  GPT2EDGE_FINISH_TIMEOUT = 3,
  GPT2EDGE_FINISH_CANCELLED = 4
};

typedef struct gpt2edge_text_state {
  size_t size;
  int32_t finished;                      /* 0 or 1 */
  int32_t finish_reason;                 /* GPT2EDGE_FINISH_... */
  uint64_t seed;                         /* that it is drawn with */
  int64_t n_prompt, n_tokens;            /* tokens of the prompt, and those after it */
  int64_t prefill_tokens, decode_tokens; /* computed */
  int64_t decode_passes; /* fewer than decode_tokens where draft tokens were accepted */
  int64_t draft_tokens, accepted_tokens;
  double prefill_s, decode_s; /* seconds */
} gpt2edge_text_state;

GPT2EDGE_API gpt2edge_status gpt2edge_text_get_state(gpt2edge_text* text,
                                                     gpt2edge_text_state* state);
/* The tokens after the prompt, and the bytes that the pieces have together. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_tokens(gpt2edge_text* text, int32_t* tokens,
                                                  size_t capacity, size_t* n_tokens);
GPT2EDGE_API gpt2edge_status gpt2edge_text_bytes(gpt2edge_text* text, char* bytes, size_t capacity,
                                                 size_t* n_bytes);

/* Writes a text that has not ended to a file, to go on later exactly where it stopped. The file
 * appears whole, or not at all. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_save(gpt2edge_text* text, const char* path);

/* Goes on with a saved text. max_tokens: how many to add to what is there; -1 leaves it to the
 * options that it was begun with. Returns GPT2EDGE_ERROR_UNSUPPORTED where it was saved with
 * another model, another n_ctx or another kv_type. */
GPT2EDGE_API gpt2edge_status gpt2edge_text_resume(gpt2edge_model* model, const char* path,
                                                  int64_t max_tokens, gpt2edge_text** text);

/* ---- sessions ------------------------------------------------------------------------------ */

/* Tokens and their keys and values, for apps that choose tokens themselves. */
typedef struct gpt2edge_session gpt2edge_session;

GPT2EDGE_API gpt2edge_status gpt2edge_session_open(gpt2edge_model* model,
                                                   gpt2edge_session** session);
GPT2EDGE_API gpt2edge_status gpt2edge_session_close(gpt2edge_session* session);

/* Tokens to append to a session. */
typedef struct gpt2edge_part {
  gpt2edge_session* session;
  const int32_t* tokens;
  size_t n_tokens;
  float* logits; /* null, or room for (n_tokens, n_vocab): those after each token */
} gpt2edge_part;

/* Appends to several sessions of one model, in one pass. If it fails, all are as they were. */
GPT2EDGE_API gpt2edge_status gpt2edge_session_append(const gpt2edge_part* parts, size_t n_parts);

/* The logits after the last token: n_vocab of them. */
GPT2EDGE_API gpt2edge_status gpt2edge_session_logits(gpt2edge_session* session, float* logits,
                                                     size_t capacity, size_t* n_logits);
GPT2EDGE_API gpt2edge_status gpt2edge_session_tokens(gpt2edge_session* session, int32_t* tokens,
                                                     size_t capacity, size_t* n_tokens);
/* Forgets all but the first n_tokens. */
GPT2EDGE_API gpt2edge_status gpt2edge_session_truncate(gpt2edge_session* session, size_t n_tokens);
/* Another session of the same tokens, which shares their memory. */
GPT2EDGE_API gpt2edge_status gpt2edge_session_fork(gpt2edge_session* session,
                                                   gpt2edge_session** fork);

/* ---- looking at a model -------------------------------------------------------------------- */

/* The log-probability of each token, the first given an end-of-text token: n_tokens floats. */
GPT2EDGE_API gpt2edge_status gpt2edge_score(gpt2edge_model* model, const int32_t* tokens,
                                            size_t n_tokens, float* logprobs);

/* The attention weights of a pass over tokens: (n_layers, n_head, n_tokens, n_tokens) floats, of
 * these layers in this order. In each, row i says how token i looks at tokens 0 to i; it adds up to
 * 1, with zeros after i. */
GPT2EDGE_API gpt2edge_status gpt2edge_attention(gpt2edge_model* model, const int32_t* tokens,
                                                size_t n_tokens, const int32_t* layers,
                                                size_t n_layers, float* weights, size_t capacity,
                                                size_t* n_weights);

/* ---- next words ---------------------------------------------------------------------------- */

/* Suggests the next words of a text as a keyboard does. It remembers what it has computed, so that
 * it answers quickly while a text grows by a few letters. */
typedef struct gpt2edge_suggester gpt2edge_suggester;

GPT2EDGE_API gpt2edge_status gpt2edge_suggester_open(gpt2edge_model* model,
                                                     gpt2edge_suggester** suggester);
GPT2EDGE_API gpt2edge_status gpt2edge_suggester_close(gpt2edge_suggester* suggester);

typedef struct gpt2edge_word {
  const char* word; /* UTF-8 */
  const char*
      completion;     /* what the text lacks of it, with a space first where there is to be one */
  double probability; /* given the text */
} gpt2edge_word;

/* The k most probable next words, the most probable first; there may be fewer. They are valid until
 * the suggester's next call, or until it is closed. */
GPT2EDGE_API gpt2edge_status gpt2edge_suggest(gpt2edge_suggester* suggester, const char* text,
                                              size_t n_text, size_t k, const gpt2edge_word** words,
                                              size_t* n_words);

/* ---- compression --------------------------------------------------------------------------- */

/* The form of compressed bytes. */
enum {
  GPT2EDGE_COMPRESSED_FILE = 0,   /* in blocks, with checksums of 32 bits */
  GPT2EDGE_COMPRESSED_MESSAGE = 1 /* the shortest: at most 65,536 bytes of text, a checksum of 15 */
};

/* Compresses bytes, a text or not, without loss, by the model's probabilities. The result is the
 * same on every machine; docs/compression.md has the formats. It has at most n_data + n_data / 1024
 * + 64 bytes. With a null array, or too small a one, all is computed nevertheless. */
GPT2EDGE_API gpt2edge_status gpt2edge_compress(gpt2edge_model* model, const void* data,
                                               size_t n_data, int32_t form, void* out,
                                               size_t capacity, size_t* n_out);

/* What was compressed with the same model. Damaged bytes give GPT2EDGE_ERROR_FORMAT, and those of
 * another model that or GPT2EDGE_ERROR_UNSUPPORTED. With a null array, or too small a one, all is
 * computed nevertheless. */
GPT2EDGE_API gpt2edge_status gpt2edge_decompress(gpt2edge_model* model, const void* data,
                                                 size_t n_data, int32_t form, void* out,
                                                 size_t capacity, size_t* n_out);

#ifdef __cplusplus
}
#endif

#endif /* GPT2EDGE_H */
