#include "csentencepiece.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

struct csp_model {
  sentencepiece::SentencePieceProcessor processor;
};

namespace {

void copy(const char *text, char *target, size_t capacity) {
  if (capacity == 0) return;
  size_t count = std::min(std::strlen(text), capacity - 1);
  std::memcpy(target, text, count);
  target[count] = 0;
}

absl::string_view view(const uint8_t *bytes, size_t count) {
  return absl::string_view(reinterpret_cast<const char *>(bytes), count);
}

}  // namespace

// No exception may cross into Swift: each function that can allocate or fail catches all of them.

csp_model *csp_open(const uint8_t *bytes, size_t count, char *reason, size_t capacity) {
  try {
    auto model = std::make_unique<csp_model>();
    auto status = model->processor.LoadFromSerializedProto(view(bytes, count));
    if (status.ok()) return model.release();
    copy(status.ToString().c_str(), reason, capacity);
  } catch (const std::exception &error) {
    copy(error.what(), reason, capacity);
  } catch (...) {
    copy("unknown failure", reason, capacity);
  }
  return nullptr;
}

void csp_close(csp_model *model) { delete model; }

int32_t csp_size(const csp_model *model) { return model->processor.GetPieceSize(); }
int32_t csp_unknown(const csp_model *model) { return model->processor.unk_id(); }
int32_t csp_start(const csp_model *model) { return model->processor.bos_id(); }
int32_t csp_end(const csp_model *model) { return model->processor.eos_id(); }

const char *csp_piece(const csp_model *model, int32_t id) {
  if (id < 0 || id >= csp_size(model)) return nullptr;
  return model->processor.IdToPiece(id).c_str();
}

ptrdiff_t csp_encode(
    const csp_model *model, const uint8_t *text, size_t count, int32_t *ids, size_t capacity) {
  try {
    std::vector<int> found;
    if (!model->processor.Encode(view(text, count), &found).ok()) return -1;
    std::copy_n(found.begin(), std::min(found.size(), capacity), ids);
    return static_cast<ptrdiff_t>(found.size());
  } catch (...) {
    return -1;
  }
}

ptrdiff_t csp_normalize(
    const csp_model *model, const uint8_t *text, size_t count, uint8_t *bytes, size_t capacity) {
  try {
    // Pieces, unknown ones too, are spelt as in the normalised text and cover all of it.
    std::vector<std::string> pieces;
    if (!model->processor.Encode(view(text, count), &pieces).ok()) return -1;
    size_t size = 0;
    for (const auto &piece : pieces) {
      if (size < capacity) std::copy_n(piece.data(), std::min(piece.size(), capacity - size), bytes + size);
      size += piece.size();
    }
    return static_cast<ptrdiff_t>(size);
  } catch (...) {
    return -1;
  }
}
