// The library for Node: what generate.mjs uses of gpt2edge.h, through koffi.
import koffi from "koffi";

const NAMES = { darwin: "libgpt2edge.0.1.dylib", win32: "gpt2edge.dll" };
const library = koffi.load(process.env.GPT2EDGE_LIBRARY ?? NAMES[process.platform] ?? "libgpt2edge.so.0.1");
const END = 1;

// Structs say their size, so they may end after the last field that is used: the library takes the
// defaults of the others.
const TextOptions = koffi.struct("gpt2edge_text_options", {
  size: "size_t",
  max_tokens: "int64_t",
  stop: "void *",
  n_stop: "size_t",
  min_tokens: "int32_t",
  ignore_eos: "int32_t",
  max_time: "double",
  allow_special: "int32_t",
  logprobs: "int32_t",
  has_seed: "int32_t",
  seed: "uint64_t",
});
const Piece = koffi.struct("gpt2edge_piece", { size: "size_t", text: "void *", n_text: "size_t" });
koffi.opaque("gpt2edge_model");
koffi.opaque("gpt2edge_text");

const c = Object.fromEntries(
  [
    "const char *gpt2edge_error_message()",
    "int32_t gpt2edge_model_open(const char *path, void *options, _Out_ gpt2edge_model **model)",
    "int32_t gpt2edge_model_close(gpt2edge_model *model)",
    "int32_t gpt2edge_text_options_init(_Out_ gpt2edge_text_options *options, size_t size)",
    "int32_t gpt2edge_text_open(gpt2edge_model *model, const char *prompt, size_t n_prompt," +
      " const gpt2edge_text_options *options, _Out_ gpt2edge_text **text)",
    "int32_t gpt2edge_text_close(gpt2edge_text *text)",
    "int32_t gpt2edge_text_next(gpt2edge_text *text, _Inout_ gpt2edge_piece *piece)",
  ].map((declaration) => [/gpt2edge_(\w+)\(/.exec(declaration)[1], library.func(declaration)]),
);

function checked(status) {
  if (status < 0) throw new Error(c.error_message());
  return status;
}

export class Model {
  #handle;

  constructor(path) {
    const out = [null];
    checked(c.model_open(path, null, out));
    this.#handle = out[0];
  }

  /** The pieces of a text after a prompt, as bytes. Options are named as in C. */
  *stream(prompt, options = {}) {
    const given = {};
    checked(c.text_options_init(given, koffi.sizeof(TextOptions)));
    Object.assign(given, options, { has_seed: "seed" in options ? 1 : 0 });
    const out = [null];
    checked(c.text_open(this.#handle, prompt, Buffer.byteLength(prompt), given, out));
    const [text] = out;
    try {
      const piece = { size: koffi.sizeof(Piece), text: null, n_text: 0 };
      while (checked(c.text_next(text, piece)) !== END) {
        yield Uint8Array.from(koffi.decode(piece.text, "uint8_t", Number(piece.n_text)));
      }
    } finally {
      c.text_close(text);
    }
  }

  close() {
    c.model_close(this.#handle);
  }
}
