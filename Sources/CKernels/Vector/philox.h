// Philox4x32-10, WIDTH blocks at a time (Salmon et al., SC 2011).

INLINE void multiply(vu a, uint32_t b, vu *high, vu *low) {
  vq product = __builtin_convertvector(a, vq) * (uint64_t)b;
  *high = __builtin_convertvector(product >> 32, vu);
  *low = a * b;
}

/// The words of the 4·WIDTH elements from `4 · block` on: words[j] are those of elements j·WIDTH ….
INLINE void random_words(const ck_dropout *d, ck_place place, uint32_t block, vu words[4]) {
  vu c0 = (vu)lanes() + block, c1 = (vu){0} + place.token, c2 = (vu){0} + d->op, c3 = (vu){0} + place.item;
  uint32_t k0 = d->key0, k1 = d->key1;
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    vu high0, low0, high1, low1;
    multiply(c0, 0xD2511F53u, &high0, &low0);
    multiply(c2, 0xCD9E8D57u, &high1, &low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
  }
#if WIDTH == 8
  vu a = __builtin_shufflevector(c0, c1, 0, 8, 1, 9, 2, 10, 3, 11), b = __builtin_shufflevector(c2, c3, 0, 8, 1, 9, 2, 10, 3, 11);
  words[0] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 2, 3, 10, 11);
  words[1] = __builtin_shufflevector(a, b, 4, 5, 12, 13, 6, 7, 14, 15);
  a = __builtin_shufflevector(c0, c1, 4, 12, 5, 13, 6, 14, 7, 15), b = __builtin_shufflevector(c2, c3, 4, 12, 5, 13, 6, 14, 7, 15);
  words[2] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 2, 3, 10, 11);
  words[3] = __builtin_shufflevector(a, b, 4, 5, 12, 13, 6, 7, 14, 15);
#else
  vu a = __builtin_shufflevector(c0, c1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  vu b = __builtin_shufflevector(c2, c3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  words[0] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
  words[1] = __builtin_shufflevector(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
  a = __builtin_shufflevector(c0, c1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  b = __builtin_shufflevector(c2, c3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  words[2] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
  words[3] = __builtin_shufflevector(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
#endif
}

/// The part of one row that is kept, scaled: y[i] = kept(x[i]), elements numbered from `first`, a multiple of 4.
INLINE void drop_row(float *y, const float *x, size_t count, const ck_dropout *d, ck_place place, uint32_t first) {
  const vf scale = spread(d->scale);
  for (size_t i = 0; i < count; i += 4 * WIDTH) {
    vu words[4];
    random_words(d, place, (first + (uint32_t)i) / 4, words);
    for (int j = 0; j < 4; j++) {
      size_t at = i + (size_t)j * WIDTH;
      if (at >= count) break;
      vf kept = pick((vi)(words[j] >= d->threshold), load_some(x + at, count - at) * scale, (vf){0});
      store_some(y + at, kept, count - at);
    }
  }
}
