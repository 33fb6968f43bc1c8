// Vectors of LANES floats (8 or 16), and how arrays are walked with them.
//
// The files of this folder are one program for any vector width. An instruction set defines LANES and TABLE,
// sets its target on all functions, and includes table.h. Everything here is inlined or static, so that no
// function compiled for one instruction set is ever called by another.
//
// Arrays need no alignment. A tail goes through the same vectors as the rest, padded with zeros in a copy, so
// that an element gets the same bits wherever it stands and nothing beside the array is touched.
#include "ckernels.h"

#include <math.h>
#include <string.h>

#pragma clang diagnostic ignored "-Wpsabi"  // no vector is ever an argument of a real call

#ifndef BF16_UNIT
#define BF16_UNIT NULL
#endif

#define INLINE static inline __attribute__((always_inline))
#define VECTOR(type, lanes) __attribute__((ext_vector_type(lanes))) type

typedef VECTOR(float, LANES) vf;
typedef VECTOR(int32_t, LANES) vi;
typedef VECTOR(uint32_t, LANES) vu;
typedef VECTOR(uint16_t, LANES) vh;
typedef VECTOR(double, LANES) vd;
typedef VECTOR(uint64_t, LANES / 2) vw;  // as wide as vf

#define fma_(a, b, c) __builtin_elementwise_fma((vf)(a), (vf)(b), (vf)(c))
#define bits_of(v) ((vi)(v))
#define float_of(v) ((vf)(v))
#define doubles(v) __builtin_convertvector(v, vd)
#define floats(v) __builtin_convertvector(v, vf)

/// Walks `count` elements: the statements see the index `i` of a vector's first element, the number `n` of its
/// elements (LANES but for a tail) and `u`, which takes the values 0 … 3 in turn, for sums in four parts.
#define EACH(i, n, u, count, ...)                                      \
  do {                                                                 \
    size_t i = 0;                                                      \
    while ((count) - i >= 4 * LANES) {                                 \
      _Pragma("clang loop unroll(full)")                               \
      for (int u = 0; u < 4; u++, i += LANES) {                        \
        const size_t n = LANES;                                        \
        (void)n;                                                       \
        __VA_ARGS__                                                    \
      }                                                                \
    }                                                                  \
    const int u = 0;                                                   \
    (void)u;                                                           \
    for (; (count) - i >= LANES; i += LANES) {                         \
      const size_t n = LANES;                                          \
      (void)n;                                                         \
      __VA_ARGS__                                                      \
    }                                                                  \
    if (i < (count)) {                                                 \
      const size_t n = (count) - i;                                    \
      __VA_ARGS__                                                      \
    }                                                                  \
  } while (0)

/// The `n` elements at `p`, then zeros.
INLINE vf get(const float *p, size_t n) {
  vf v = 0;
  if (n >= LANES) memcpy(&v, p, sizeof v);
  else memcpy(&v, p, n * sizeof *p);
  return v;
}
INLINE vh get16(const uint16_t *p, size_t n) {
  vh v = 0;
  if (n >= LANES) memcpy(&v, p, sizeof v);
  else memcpy(&v, p, n * sizeof *p);
  return v;
}
/// Writes the first `n` lanes.
INLINE void put(float *p, vf v, size_t n) {
  if (n >= LANES) memcpy(p, &v, sizeof v);
  else memcpy(p, &v, n * sizeof *p);
}

INLINE vf select(vi mask, vf yes, vf no) { return mask ? yes : no; }

INLINE vi lane_numbers(void) {
#if LANES == 16
  return (vi){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
  return (vi){0, 1, 2, 3, 4, 5, 6, 7};
#endif
}
/// `v` with `other` in the lanes from `n` on.
INLINE vf padded(vf v, size_t n, float other) {
  if (n >= LANES) return v;
  return select(lane_numbers() < (vi)((int32_t)n), v, (vf)(other));
}

/// The sum of the lanes, halves first.
INLINE float sum(vf v) {
#if LANES == 16
  VECTOR(float, 8) h = v.lo + v.hi;
#else
  vf h = v;
#endif
  VECTOR(float, 4) q = h.lo + h.hi;
  VECTOR(float, 2) p = q.lo + q.hi;
  return p.x + p.y;
}
INLINE double sum_doubles(vd v) {
#if LANES == 16
  VECTOR(double, 8) h = v.lo + v.hi;
#else
  vd h = v;
#endif
  VECTOR(double, 4) q = h.lo + h.hi;
  VECTOR(double, 2) p = q.lo + q.hi;
  return p.x + p.y;
}
/// The largest lane; NaN may be passed over.
INLINE float largest(vf v) {
#if LANES == 16
  VECTOR(float, 8) h = v.lo > v.hi ? v.lo : v.hi;
#else
  vf h = v;
#endif
  VECTOR(float, 4) q = h.lo > h.hi ? h.lo : h.hi;
  VECTOR(float, 2) p = q.lo > q.hi ? q.lo : q.hi;
  return p.x > p.y ? p.x : p.y;
}
