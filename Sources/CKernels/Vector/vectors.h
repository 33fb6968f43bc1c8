// Vectors of WIDTH floats and what is done with them. Included once for each instruction set, which defines
// WIDTH (8 or 16) and has turned its flags on. Loads and stores may be unaligned.
#include "ckernels.h"

#include <string.h>

#pragma clang diagnostic ignored "-Wpsabi"  // every function that passes vectors is inlined

typedef float vf __attribute__((vector_size(4 * WIDTH)));
typedef int32_t vi __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t vu __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t vh __attribute__((vector_size(2 * WIDTH)));
typedef double vd __attribute__((vector_size(8 * WIDTH)));
typedef uint64_t vq __attribute__((vector_size(8 * WIDTH)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
INLINE void store(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE vf spread(float x) { return x - (vf){0}; }
/// The first `count` lanes from memory, the others zero. No other memory is read.
INLINE vf load_part(const float *p, size_t count) { vf v = {0}; memcpy(&v, p, 4 * count); return v; }
INLINE void store_part(float *p, vf v, size_t count) { memcpy(p, &v, 4 * count); }
INLINE vf load_some(const float *p, size_t count) { return count >= WIDTH ? load(p) : load_part(p, count); }
INLINE void store_some(float *p, vf v, size_t count) {
  if (count >= WIDTH) store(p, v); else store_part(p, v, count);
}
INLINE vf fma_(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
INLINE vf pick(vi condition, vf yes, vf no) { return (vf)(((vi)yes & condition) | ((vi)no & ~condition)); }
INLINE vi lanes(void) {
  vi v;
  for (int i = 0; i < WIDTH; i++) v[i] = i;
  return v;
}
/// All bits set in the first `count` lanes.
INLINE vi first_lanes(size_t count) { return lanes() < ((vi){0} + (int32_t)(count < WIDTH ? count : WIDTH)); }
INLINE vf absolute(vf x) { return (vf)((vi)x & 0x7FFFFFFF); }

/// Σ over the lanes, halves upon halves.
INLINE float total(vf v) {
  for (int step = WIDTH / 2; step; step /= 2)
    for (int i = 0; i < step; i++) v[i] += v[i + step];
  return v[0];
}
INLINE double total_double(vd v) {
  for (int step = WIDTH / 2; step; step /= 2)
    for (int i = 0; i < step; i++) v[i] += v[i + step];
  return v[0];
}
INLINE float largest(vf v) {
  float best = v[0];
  for (int i = 1; i < WIDTH; i++) best = v[i] > best ? v[i] : best;
  return best;
}
