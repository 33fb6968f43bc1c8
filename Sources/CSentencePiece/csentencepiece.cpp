#include "csentencepiece.h"

#include <sentencepiece_processor.h>

#include <memory>
#include <new>
#include <string>
#include <vector>

struct csp_model {
  sentencepiece::SentencePieceProcessor processor;
};

extern "C" csp_model *csp_open(const void *bytes, size_t count) {
  try {
    auto model = std::make_unique<csp_model>();
    if (!model->processor.LoadFromSerializedProto(std::string(static_cast<const char *>(bytes), count)).ok()) return nullptr;
    return model.release();
  } catch (...) {
    return nullptr;
  }
}

extern "C" void csp_close(csp_model *model) { delete model; }

extern "C" int32_t csp_piece_count(const csp_model *model) { return model->processor.GetPieceSize(); }

extern "C" int32_t csp_id(const csp_model *model, const char *piece, size_t count) {
  try {
    return model->processor.PieceToId(std::string(piece, count));
  } catch (...) {
    return model->processor.unk_id();
  }
}

extern "C" int32_t csp_unknown_id(const csp_model *model) { return model->processor.unk_id(); }

extern "C" const char *csp_piece(const csp_model *model, int32_t id, size_t *count) {
  const std::string &piece = model->processor.IdToPiece(id);
  *count = piece.size();
  return piece.data();
}

extern "C" int csp_encode(const csp_model *model, const char *text, size_t count, void *context,
                          void (*emit)(void *context, const int32_t *ids, size_t count)) {
  try {
    std::vector<int> ids;
    if (!model->processor.Encode(std::string(text, count), &ids).ok()) return 1;
    static_assert(sizeof(int) == sizeof(int32_t), "ids are 32 bits");
    emit(context, ids.data(), ids.size());
    return 0;
  } catch (...) {
    return 1;
  }
}
