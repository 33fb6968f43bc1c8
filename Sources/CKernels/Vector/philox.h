// Philox4x32-10 on LANES counters at a time, and the entries that drop or draw elements.

// Unpacking within groups of four lanes: the lower or upper pairs of `a` and `b`, interleaved.
// EVEN and ODD: the even or odd lanes, each twice.
#if LANES == 16
#define EVEN(a) __builtin_shufflevector(a, a, 0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14)
#define ODD(a) __builtin_shufflevector(a, a, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15)
#define LOW32(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH32(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW64(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH64(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#else
#define EVEN(a) __builtin_shufflevector(a, a, 0, 0, 2, 2, 4, 4, 6, 6)
#define ODD(a) __builtin_shufflevector(a, a, 1, 1, 3, 3, 5, 5, 7, 7)
#define LOW32(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH32(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW64(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH64(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#endif

/// The words of 4 · LANES elements that start at element 4 · `counter` of the row at `place`, in order.
///
/// A counter's words are kept in the lower halves of 64-bit lanes, where products are formed; what is in the
/// upper halves does not matter until the end. Lane 4b + t of the four words holds counter t · LANES/4 + b,
/// so that transposing each group of four lanes puts the elements in order.
INLINE void philox_words(vu words[4], const ck_dropout *d, ck_place place, uint32_t counter) {
  const uint64_t low = 0xFFFFFFFF;
  vu lane = (vu)lane_numbers();
  vu first = (lane & 3) * (LANES / 4) + (lane >> 2) + counter;
  vw c0[2] = {(vw)first, (vw)first >> 32};  // even lanes, odd lanes
  vw c1[2] = {(vw)((uint64_t)place.token), (vw)((uint64_t)place.token)};
  vw c2[2] = {(vw)((uint64_t)d->op), (vw)((uint64_t)d->op)};
  vw c3[2] = {(vw)((uint64_t)place.item), (vw)((uint64_t)place.item)};
  uint32_t key0 = d->key0, key1 = d->key1;
  _Pragma("clang loop unroll(full)")
  for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
    for (int s = 0; s < 2; s++) {
      vw p0 = (c0[s] & low) * 0xD2511F53ull, p1 = (c2[s] & low) * 0xCD9E8D57ull;
      c0[s] = (p1 >> 32) ^ c1[s] ^ (uint64_t)key0;
      c1[s] = p1;
      c2[s] = (p0 >> 32) ^ c3[s] ^ (uint64_t)key1;
      c3[s] = p0;
    }
  vu w0 = (vu)((c0[0] & low) | c0[1] << 32), w1 = (vu)((c1[0] & low) | c1[1] << 32);
  vu w2 = (vu)((c2[0] & low) | c2[1] << 32), w3 = (vu)((c3[0] & low) | c3[1] << 32);
  vu a = LOW32(w0, w1), b = LOW32(w2, w3), c = HIGH32(w0, w1), e = HIGH32(w2, w3);
  words[0] = LOW64(a, b);
  words[1] = HIGH64(a, b);
  words[2] = LOW64(c, e);
  words[3] = HIGH64(c, e);
}

INLINE vf dropped(vf value, vu words, const ck_dropout *d) {
  return select(words < d->threshold, (vf)(0.0f), value * d->scale);
}

/// Walks the `count` elements of a row as EACH does, with `words` the random words of the vector at `i`,
/// when the row's first element is 4 · `counter`.
#define EACH_WITH_WORDS(i, n, words, count, d, place, counter, ...)                          \
  do {                                                                                       \
    vu words_[4];                                                                            \
    size_t i = 0;                                                                            \
    while ((count) - i >= 4 * LANES) {                                                       \
      philox_words(words_, d, place, (counter) + (uint32_t)(i / 4));                         \
      _Pragma("clang loop unroll(full)")                                                     \
      for (int u_ = 0; u_ < 4; u_++, i += LANES) {                                           \
        const size_t n = LANES;                                                              \
        vu words = words_[u_];                                                               \
        __VA_ARGS__                                                                          \
      }                                                                                      \
    }                                                                                        \
    if (i < (count)) philox_words(words_, d, place, (counter) + (uint32_t)(i / 4));          \
    for (int u_ = 0; i < (count); u_++, i += LANES) {                                        \
      const size_t n = (count) - i < LANES ? (count) - i : LANES;                            \
      vu words = words_[u_];                                                                 \
      __VA_ARGS__                                                                            \
    }                                                                                        \
  } while (0)

static void dropout(float *y, const float *x, size_t rows, size_t columns, const ck_dropout *d,
                    const ck_place *places) {
  if (!d->threshold) {
    if (y != x) memmove(y, x, rows * columns * sizeof *y);
    return;
  }
  for (size_t r = 0; r < rows; r++, y += columns, x += columns)
    EACH_WITH_WORDS(c, n, words, columns, d, places[r], 0, put(y + c, dropped(get(x + c, n), words, d), n););
}
static void bias_dropout_add(float *h, const float *bias, const float *residual, size_t rows, size_t columns,
                             const ck_dropout *d, const ck_place *places) {
  for (size_t r = 0; r < rows; r++, h += columns, residual += columns)
    if (d->threshold)
      EACH_WITH_WORDS(c, n, words, columns, d, places[r], 0, {
        vf value = dropped(get(h + c, n) + get(bias + c, n), words, d);
        put(h + c, get(residual + c, n) + value, n);
      });
    else
      EACH(c, n, u, columns, put(h + c, get(residual + c, n) + (get(h + c, n) + get(bias + c, n)), n););
}

static void normals(float *x, size_t count, uint32_t counter, const ck_dropout *d, ck_place place, float deviation) {
  EACH_WITH_WORDS(i, n, words, count, d, place, counter, {
    vf even = floats((vi)(EVEN(words) >> 8)), odd = floats((vi)(ODD(words) >> 8)) * 0x1p-24f;
    vf square = -2.0f * log_of(fma_(even, 0x1p-24f, 0x1p-24f));
    vf quarter = select((lane_numbers() & 1) != 0, (vf)(0.25f), (vf)(0.0f));
    put(x + i, deviation * (__builtin_elementwise_sqrt(square) * cos_of_turns(odd - quarter)), n);
  });
}
