// SentencePiece as C functions. No function lets a C++ exception out.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csp_model csp_model;

/// A model from the bytes of a `.model` file, or NULL if they are none.
csp_model *csp_open(const void *bytes, size_t count);
void csp_close(csp_model *model);
int32_t csp_piece_count(const csp_model *model);
/// The id of a piece, or that of the unknown piece.
int32_t csp_id(const csp_model *model, const char *piece, size_t count);
int32_t csp_unknown_id(const csp_model *model);
/// The piece of an id below the piece count, valid while the model is; `*count` bytes.
const char *csp_piece(const csp_model *model, int32_t id, size_t *count);
/// Encodes UTF-8 text. Calls `emit` once with the ids, in order. Returns 0, or 1 if the text cannot be encoded.
int csp_encode(const csp_model *model, const char *text, size_t count, void *context,
               void (*emit)(void *context, const int32_t *ids, size_t count));

#ifdef __cplusplus
}
#endif
