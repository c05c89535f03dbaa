#include "compress/coding.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "compress/coded_context.h"
#include "compress/token_frequencies.h"
#include "generate/row_jobs.h"

namespace gpt2edge {
namespace {

constexpr size_t kRows = 128;  // of logits at a time: 26 MB with GPT-2's vocabulary

// Of each of the tokens behind the first `n_known` inputs' end, whose logits the sequence has.
std::vector<FrequencyInterval> intervals(Model& model, const Sequence& sequence,
                                         std::span<const int32_t> tokens) {
  std::vector<FrequencyInterval> found(tokens.size());
  const auto first = static_cast<size_t>(sequence.length()) + 1 - tokens.size();
  for_each_row(model, tokens.size(), [&](size_t i) {
    const Logits logits = sequence.logits_after(static_cast<int>(first + i));
    found[i] = TokenFrequencies(logits.all, max_logit(logits)).of(tokens[i]);
  });
  return found;
}

// A text that is being decoded.
struct Active {
  TextDecoder* text;
  std::unique_ptr<CodedContext> context;
  std::vector<int32_t> inputs;
};

// The next token of each.
void step(Model& model, std::vector<Active>& active, const Interrupt& interrupt) {
  std::vector<Sequence::Part> parts;
  for (Active& each : active) {
    each.inputs = each.context->inputs_after(each.text->tokens());
    parts.push_back({&each.context->sequence(), each.inputs});
  }
  Sequence::append(parts, interrupt);
  for_each_row(model, active.size(), [&](size_t i) {
    const Sequence& sequence = active[i].context->sequence();
    const Logits logits = sequence.logits_after(sequence.length());
    active[i].text->add(logits.all, max_logit(logits));
  });
}

}  // namespace

void CodingModel::check() const {
  checked_n_ctx(n_ctx, model->config());
  if (model->config().n_vocab > kMostCodedTokens) {
    throw UnsupportedError(message(model->path(), ": a vocabulary of ", model->config().n_vocab,
                                   " tokens, compression has room for ", kMostCodedTokens));
  }
}

uint64_t bytes_of_context(const CodingModel& coding) {
  return KvCache::bytes_needed(coding.model->config(), coding.n_ctx, CodedContext::kCacheType);
}

CodedTokens encode_tokens(const CodingModel& coding, std::span<const int32_t> tokens, size_t most,
                          const Interrupt& interrupt,
                          const std::function<void(size_t n_tokens)>& progress) {
  CodedTokens found;
  RangeEncoder encoder;
  CodedContext context(coding.model, coding.n_ctx, coding.start);
  for (size_t done = 0; done < tokens.size() && encoder.size() <= most;) {
    std::vector<int32_t> inputs = context.inputs_after(tokens.first(done));
    const size_t n =
        std::min({kRows, context.room_beside(inputs.size()) + 1, tokens.size() - done});
    const auto coded = tokens.subspan(done, n);
    inputs.insert(inputs.end(), coded.begin(), coded.end() - 1);
    const Sequence::Part part{&context.sequence(), inputs, static_cast<int>(n)};
    Sequence::append({&part, 1}, interrupt);
    for (const auto& each : intervals(*coding.model, context.sequence(), coded)) {
      encoder.encode(each);
      found.intervals.push_back(each);
    }
    done += n;
    if (progress) progress(done);
  }
  found.code = encoder.finish();
  return found;
}

void decode_texts(const CodingModel& coding, std::span<TextDecoder> texts, int n_parallel,
                  const Interrupt& interrupt, const CodingProgress& progress) {
  std::vector<Active> active;
  uint64_t n_finished = 0;
  for (size_t next = 0; next < texts.size() || !active.empty();) {
    while (next < texts.size() && active.size() < static_cast<size_t>(n_parallel)) {
      TextDecoder& text = texts[next++];
      if (text.done()) continue;
      active.push_back(
          {&text, std::make_unique<CodedContext>(coding.model, coding.n_ctx, coding.start), {}});
    }
    if (active.empty()) break;
    step(*coding.model, active, interrupt);
    uint64_t n_bytes = n_finished;
    for (const Active& each : active) n_bytes += each.text->text().size();
    if (progress) progress(n_bytes);
    std::erase_if(active, [&](const Active& each) {
      if (each.text->done()) n_finished += each.text->text().size();
      return each.text->done();
    });
  }
}

}  // namespace gpt2edge
