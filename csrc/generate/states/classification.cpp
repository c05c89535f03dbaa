#include "generate/states/classification.h"

#include "base/error.h"
#include "model/classifier.h"

namespace gpt2edge {

std::vector<std::vector<float>> classify(std::shared_ptr<Model> model,
                                         const ContextOptions& contexts, const TokenLists& texts,
                                         const Interrupt& interrupt) {
  const Classifier* classifier = model->classifier();
  if (classifier == nullptr) {
    throw UnsupportedError(message(model->path(),
                                   ": has no classifier; convert a checkpoint of "
                                   "GPT2ForSequenceClassification or GPT2ForTokenClassification"));
  }
  std::vector<std::vector<float>> logits(texts.size());
  const auto take = [&](size_t text, std::span<const float> states) {
    logits[text] = classifier->logits(states);
  };
  const WantedStates wanted{model->config().n_layer, !classifier->of_tokens};
  for_each_text_states(model, contexts, texts, wanted, take, interrupt);
  return logits;
}

}  // namespace gpt2edge
