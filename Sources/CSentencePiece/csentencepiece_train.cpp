#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <unordered_map>

#include "csentencepiece.h"

namespace {

// The sentences that a callback hands out, one at a time.
class Sentences : public sentencepiece::SentenceIterator {
 public:
  Sentences(csp_next next, void *context) : next_(next), context_(context) { Next(); }

  bool done() const override { return done_; }

  void Next() override {
    const uint8_t *bytes = nullptr;
    ptrdiff_t count = next_(context_, &bytes);
    done_ = count < 0;
    failed_ = count < -1;
    if (done_) {
      value_.clear();
    } else {
      value_.assign(reinterpret_cast<const char *>(bytes), static_cast<size_t>(count));
    }
  }

  const std::string &value() const override { return value_; }

  sentencepiece::util::Status status() const override {
    if (!failed_) return sentencepiece::util::Status();
    return sentencepiece::util::Status(
        sentencepiece::util::StatusCode::kCancelled, "the sentences ended early");
  }

 private:
  csp_next next_;
  void *context_;
  std::string value_;
  bool done_ = false;
  bool failed_ = false;
};

void tell(const std::string &text, char *reason, size_t capacity) {
  if (capacity == 0) return;
  size_t count = std::min(text.size(), capacity - 1);
  std::memcpy(reason, text.data(), count);
  reason[count] = 0;
}

}  // namespace

uint8_t *csp_train(
    const csp_training *training, csp_next next, void *context, size_t *count, char *reason, size_t capacity) {
  *count = 0;
  try {
    const std::unordered_map<std::string, std::string> options = {
        {"model_type", training->is_bpe ? "bpe" : "unigram"},
        {"vocab_size", std::to_string(training->pieces)},
        {"character_coverage", std::to_string(training->character_coverage)},
        {"train_extremely_large_corpus", training->is_large ? "true" : "false"},
        {"normalization_rule_name", "nmt_nfkc"},
        {"max_sentence_length", std::to_string(training->sentence_bytes)},
        // All that are handed out, in their order.
        {"input_sentence_size", "0"},
        {"shuffle_input_sentence", "false"},
        // Sums are made by thread and then over threads: their number decides the rounding.
        {"num_threads", "16"},
        // Only what ends the process speaks.
        {"minloglevel", "3"},
    };
    sentencepiece::SetRandomGeneratorSeed(1);
    Sentences sentences(next, context);
    std::string model;
    auto status = sentencepiece::SentencePieceTrainer::Train(options, &sentences, &model);
    if (!status.ok()) {
      tell(status.ToString(), reason, capacity);
      return nullptr;
    }
    auto *bytes = static_cast<uint8_t *>(std::malloc(std::max<size_t>(model.size(), 1)));
    if (bytes == nullptr) {
      tell("out of memory", reason, capacity);
      return nullptr;
    }
    std::memcpy(bytes, model.data(), model.size());
    *count = model.size();
    return bytes;
  } catch (const std::exception &error) {
    tell(error.what(), reason, capacity);
  } catch (...) {
    tell("unknown failure", reason, capacity);
  }
  return nullptr;
}

void csp_free(uint8_t *bytes) { std::free(bytes); }
