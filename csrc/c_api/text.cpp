// Texts: begun, stepped, looked at, saved and resumed.
#include "base/mapped_file.h"
#include "base/output_file.h"
#include "c_api/objects.h"
#include "c_api/text_options.h"

using namespace gpt2edge;
using namespace gpt2edge::c_api;

namespace {

gpt2edge_text* kept(std::unique_ptr<Text> text, const LoadedModel& model) {
  auto written = std::make_shared<WrittenText>();
  written->text = std::move(text);
  written->interrupt = model.interrupt;
  return Texts::add(std::move(written));
}

gpt2edge_text* begun(const LoadedModel& model, std::vector<int32_t> prompt,
                     const GivenTextOptions& given) {
  prompt = model.prompt_tokens(std::move(prompt));
  auto speculation = make_speculation(given.speculation, *model.model, *model.vocabulary,
                                      given.text.slide(prompt.size()));
  return kept(std::make_unique<Text>(model.model, model.vocabulary, model.contexts,
                                     std::move(prompt), given.text, std::move(speculation)),
              model);
}

// What the caller sees of the piece that is kept for him.
gpt2edge_piece shown(WrittenText& written, Piece piece) {
  written.shown = std::move(piece);
  written.shown_top.clear();
  gpt2edge_piece out{};
  out.text = written.shown.bytes.c_str();
  out.n_text = written.shown.bytes.size();
  out.token = written.shown.token.value_or(-1);
  if (written.shown.logprob) {
    out.logprob = written.shown.logprob->chosen;
    for (const TokenLogprob& top : written.shown.logprob->top) {
      written.shown_top.push_back({top.token, top.logprob});
    }
    out.top = written.shown_top.data();
    out.n_top = written.shown_top.size();
  }
  out.size = sizeof out;
  return out;
}

// A piece that was left by a step, if there is one.
std::optional<Piece> taken(WrittenText& written) {
  if (written.taken.empty()) {
    for (Piece& piece : written.text->pieces()) written.taken.push_back(std::move(piece));
  }
  if (written.taken.empty()) return std::nullopt;
  Piece piece = std::move(written.taken.front());
  written.taken.pop_front();
  return piece;
}

std::optional<Piece> next(WrittenText& written) {
  if (auto piece = taken(written)) return piece;
  return written.text->next(written.interrupt);
}

gpt2edge_status give(WrittenText& written, std::optional<Piece> piece, gpt2edge_piece* out) {
  if (!piece) return GPT2EDGE_END;
  write_struct(out, shown(written, std::move(*piece)), "gpt2edge_piece");
  return GPT2EDGE_OK;
}

int32_t finish_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      break;
    case FinishReason::kStop:
      return GPT2EDGE_FINISH_STOP;
    case FinishReason::kLength:
      return GPT2EDGE_FINISH_LENGTH;
    case FinishReason::kTimeout:
      return GPT2EDGE_FINISH_TIMEOUT;
    case FinishReason::kCancelled:
      return GPT2EDGE_FINISH_CANCELLED;
  }
  return GPT2EDGE_FINISH_NONE;
}

gpt2edge_text_state state_of(Text& text) {
  const TextState state = text.state();
  gpt2edge_text_state out{};
  out.finished = text.finished() ? 1 : 0;
  out.finish_reason = finish_reason(state.finish_reason);
  out.seed = text.options().sampling.seed;
  out.n_prompt = static_cast<int64_t>(state.prompt.size());
  out.n_tokens = static_cast<int64_t>(state.tokens.size());
  out.prefill_tokens = state.timings.prefill_tokens;
  out.decode_tokens = state.timings.decode_tokens;
  out.decode_passes = state.timings.decode_passes;
  out.draft_tokens = state.timings.draft_tokens;
  out.accepted_tokens = state.timings.accepted_tokens;
  out.prefill_s = state.timings.prefill_s;
  out.decode_s = state.timings.decode_s;
  return out;
}

}  // namespace

gpt2edge_status gpt2edge_text_open(gpt2edge_model* model, const char* prompt, size_t n_prompt,
                                   const gpt2edge_text_options* options, gpt2edge_text** text) {
  return guarded([&] {
    auto& out = required(text, "the place for the text");
    const auto loaded = Models::get(model);
    const GivenTextOptions given = read_text_options(options);
    out = begun(
        *loaded,
        loaded->tokenizer->encode(text_of(prompt, n_prompt, "the prompt"), given.allow_special),
        given);
  });
}

gpt2edge_status gpt2edge_text_open_tokens(gpt2edge_model* model, const int32_t* prompt,
                                          size_t n_prompt, const gpt2edge_text_options* options,
                                          gpt2edge_text** text) {
  return guarded([&] {
    auto& out = required(text, "the place for the text");
    const auto loaded = Models::get(model);
    const auto tokens = array_of(prompt, n_prompt, "the prompt");
    out = begun(*loaded, {tokens.begin(), tokens.end()}, read_text_options(options));
  });
}

gpt2edge_status gpt2edge_text_close(gpt2edge_text* text) {
  return guarded([&] { Texts::close(text); });
}

gpt2edge_status gpt2edge_text_next(gpt2edge_text* text, gpt2edge_piece* piece) {
  return guarded([&] {
    required(piece, "the place for the piece");
    const auto written = Texts::get(text);
    const std::lock_guard<WorkMutex> lock(written->mutex);
    return give(*written, next(*written), piece);
  });
}

gpt2edge_status gpt2edge_text_take(gpt2edge_text* text, gpt2edge_piece* piece) {
  return guarded([&] {
    required(piece, "the place for the piece");
    const auto written = Texts::get(text);
    const std::lock_guard<WorkMutex> lock(written->mutex);
    auto left = taken(*written);
    if (!left) written->text->check_error();
    return give(*written, std::move(left), piece);
  });
}

gpt2edge_status gpt2edge_text_run(gpt2edge_text* text, gpt2edge_piece_function function,
                                  void* user) {
  return guarded([&] {
    const auto written = Texts::get(text);
    const std::lock_guard<WorkMutex> lock(written->mutex);
    while (auto piece = next(*written)) {
      const gpt2edge_piece seen = shown(*written, std::move(*piece));
      if (function != nullptr && function(user, &seen) != 0) written->text->cancel();
    }
  });
}

gpt2edge_status gpt2edge_text_step(gpt2edge_text* const* texts, size_t n_texts) {
  return guarded([&] {
    std::vector<std::shared_ptr<WrittenText>> held;
    std::vector<Text*> stepped;
    for (gpt2edge_text* text : array_of(texts, n_texts, "texts")) {
      held.push_back(Texts::get(text));
      stepped.push_back(held.back()->text.get());
    }
    if (!held.empty()) Text::step(stepped, held.front()->interrupt);
  });
}

gpt2edge_status gpt2edge_text_cancel(gpt2edge_text* text) {
  return guarded([&] { Texts::get(text)->text->cancel(); });
}

gpt2edge_status gpt2edge_text_get_state(gpt2edge_text* text, gpt2edge_text_state* state) {
  return guarded(
      [&] { write_struct(state, state_of(*Texts::get(text)->text), "gpt2edge_text_state"); });
}

gpt2edge_status gpt2edge_text_tokens(gpt2edge_text* text, int32_t* tokens, size_t capacity,
                                     size_t* n_tokens) {
  return guarded([&] {
    write_array<int32_t>(Texts::get(text)->text->state().tokens, tokens, capacity, n_tokens);
  });
}

gpt2edge_status gpt2edge_text_bytes(gpt2edge_text* text, char* bytes, size_t capacity,
                                    size_t* n_bytes) {
  return guarded(
      [&] { write_array<char>(Texts::get(text)->text->state().bytes, bytes, capacity, n_bytes); });
}

gpt2edge_status gpt2edge_text_save(gpt2edge_text* text, const char* path) {
  return guarded([&] {
    const auto written = Texts::get(text);
    OutputFile file(&required(path, "the path"));
    written->text->save([&](std::span<const std::byte> bytes) { file.write(bytes); });
    file.finish();
  });
}

gpt2edge_status gpt2edge_text_resume(gpt2edge_model* model, const char* path, int64_t max_tokens,
                                     gpt2edge_text** text) {
  return guarded([&] {
    auto& out = required(text, "the place for the text");
    if (max_tokens < -1) {
      throw std::invalid_argument(
          message("max_tokens is ", max_tokens, "; give 0 or more, or -1 for the saved options'"));
    }
    const auto loaded = Models::get(model);
    const std::string name = &required(path, "the path");
    const MappedFile file(name);
    const auto more = max_tokens < 0 ? std::nullopt : std::optional(max_tokens);
    out = kept(file.checked(name,
                            [&] {
                              return Text::resume(name, file.bytes(), loaded->model,
                                                  loaded->vocabulary, loaded->contexts, more, {});
                            }),
               *loaded);
  });
}
