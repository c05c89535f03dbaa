// What the handles of the C API stand for.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fork.h"
#include "c_api/handles.h"
#include "c_api/status.h"
#include "formats/gguf.h"
#include "generate/text.h"
#include "generate/words/suggester.h"
#include "model/model.h"
#include "tokenize/tokenizer.h"

namespace gpt2edge::c_api {

struct File {
  static constexpr char kKind[] = "file";
  GgufFile gguf;
};

struct LoadedModel {
  static constexpr char kKind[] = "model";
  std::shared_ptr<Model> model;
  std::shared_ptr<const TokenizerTables> vocabulary;
  std::shared_ptr<const Tokenizer> tokenizer;
  ContextOptions contexts;  // of its texts and sessions
  Interrupt interrupt;

  // The ids of a prompt; the token that starts a text where it is empty.
  std::vector<int32_t> prompt_tokens(std::vector<int32_t> tokens) const;
};

// `mutex` is of what pieces point to; the text has its own.
struct WrittenText {
  static constexpr char kKind[] = "text";
  std::unique_ptr<Text> text;
  Interrupt interrupt;
  WorkMutex mutex;
  std::deque<Piece> taken;  // from the text, and not yet by the caller
  Piece shown;              // the caller's
  std::vector<gpt2edge_token_logprob> shown_top;
};

struct Session {
  static constexpr char kKind[] = "session";
  std::unique_ptr<Sequence> sequence;
  Interrupt interrupt;
  WorkMutex mutex;
};

struct WordSuggester {
  static constexpr char kKind[] = "suggester";
  std::unique_ptr<Suggester> suggester;
  Interrupt interrupt;
  WorkMutex mutex;
  std::vector<WordSuggestion> found;  // the caller's
  std::vector<gpt2edge_word> shown;
};

using Files = Handles<gpt2edge_file, File>;
using Models = Handles<gpt2edge_model, LoadedModel>;
using Texts = Handles<gpt2edge_text, WrittenText>;
using Sessions = Handles<gpt2edge_session, Session>;
using Suggesters = Handles<gpt2edge_suggester, WordSuggester>;

gpt2edge_config config_of(const Config& config, const TokenizerTables& vocabulary);

}  // namespace gpt2edge::c_api
