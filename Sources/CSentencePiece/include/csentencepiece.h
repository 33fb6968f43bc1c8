#pragma once
// A C front of the parts of the SentencePiece library (C++) that read a model, encode text with it, and train one.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A loaded model. Its functions may be called from several threads at once.
typedef struct csp_model csp_model;

// Reads a serialized model (the bytes of a `.model` file). NULL if it is refused; the reason is then in
// `reason`, cut to `capacity` bytes with the final zero.
csp_model *csp_open(const uint8_t *bytes, size_t count, char *reason, size_t capacity);
void csp_close(csp_model *model);

// The number of pieces.
int32_t csp_size(const csp_model *model);

// The ids of the unknown, opening and closing piece; -1 for one that the model lacks.
int32_t csp_unknown(const csp_model *model);
int32_t csp_start(const csp_model *model);
int32_t csp_end(const csp_model *model);

// The UTF-8 bytes of a piece, ended by zero; NULL if `id` is out of range.
const char *csp_piece(const csp_model *model, int32_t id);

// Encodes UTF-8 text. Returns the number of its ids and writes as many of them as `capacity` allows;
// -1 if the library fails.
ptrdiff_t csp_encode(
    const csp_model *model, const uint8_t *text, size_t count, int32_t *ids, size_t capacity);

// Normalises UTF-8 text as encoding does. Returns the number of bytes of the result, in which U+2581
// stands for blanks, and writes as many of them as `capacity` allows; -1 if the library fails.
// A model with byte fallback has no such text.
ptrdiff_t csp_normalize(
    const csp_model *model, const uint8_t *text, size_t count, uint8_t *bytes, size_t capacity);

// What to train. The ids of the unknown, opening and closing piece are 0, 1 and 2, and the normalisation is nmt_nfkc.
typedef struct csp_training {
  // The number of pieces, those three included.
  int32_t pieces;
  // Byte pairs; else unigram.
  bool is_bpe;
  // Whether the sentences may be of more than 2³¹ characters.
  bool is_large;
  // The share of all characters that pieces are made of; the rarest others are unknown.
  double character_coverage;
  // Longer sentences are left out.
  int32_t sentence_bytes;
} csp_training;

// Points `bytes` at the next sentence, which stays until the next call, and returns its count of bytes; -1 after the
// last, -2 to give up.
typedef ptrdiff_t (*csp_next)(void *context, const uint8_t **bytes);

// Trains a model. Returns the bytes of its file, which `csp_free` takes, and their count; NULL if it fails: the reason
// is then in `reason`, cut to `capacity` bytes with the final zero. Equal sentences give equal bytes, whatever the
// number of processors. Sets the level of the library's log for the whole process.
uint8_t *csp_train(
    const csp_training *training, csp_next next, void *context, size_t *count, char *reason, size_t capacity);
void csp_free(uint8_t *bytes);

#ifdef __cplusplus
}
#endif
