// Attention of one head of one sequence, in bands of rows so that the scores at work stay in the cache.
//
// Scratch, in order. Forward: Kᵀ, V, a band of scores. Backward: Vᵀ, K, a band of Q and of dout, a band of
// score gradients, a band of dropped probabilities; where the softmax is made again also Kᵀ and a band of it. Widths
// are rounded up to whole vectors.

enum { BAND = 8 * BLOCK_ROWS };

INLINE size_t rounded(size_t count) { return (count + LANES - 1) / LANES * LANES; }

static size_t attention_scratch(size_t length, size_t width) {
  size_t long_row = rounded(length), row = rounded(width), band = length < BAND ? length : BAND;
  return 2 * width * long_row + length * row + 2 * band * row + 3 * band * long_row;
}

/// Copies rows into dense ones of a whole number of vectors.
static void pack(float *to, const float *from, size_t rows, size_t columns, size_t stride) {
  for (size_t r = 0; r < rows; r++, to += rounded(columns), from += stride)
    EACH(c, n, u, columns, put(to + c, get(from + c, n), LANES););
}
/// The transpose of [rows × columns], each of its rows a whole number of vectors, zeros at the end.
static void pack_transposed(float *to, const float *from, size_t rows, size_t columns, size_t stride) {
  size_t long_row = rounded(rows);
  for (size_t r = 0; r < rows; r += LANES) {
    size_t n = rows - r < LANES ? rows - r : LANES;
    for (size_t c = 0; c < columns; c++) {
      float lanes[LANES] = {0};
      for (size_t i = 0; i < n; i++) lanes[i] = from[(r + i) * stride + c];
      memcpy(to + c * long_row + r, lanes, sizeof lanes);
    }
  }
}

static size_t band_rows(const ck_attention *a, size_t first) {
  return a->length - first < BAND ? a->length - first : BAND;
}

/// The random counter of attention weight (i, 0).
static uint32_t first_counter(const ck_attention *a) { return a->head * (65536u / 4); }

/// Softmax of `s` · scale, in place. Its largest score and the inverse of its sum go to `stats`.
INLINE void softmax_row(float *s, float *stats, size_t length, float scale) {
  vf top[4] = {(vf)(-INFINITY), (vf)(-INFINITY), (vf)(-INFINITY), (vf)(-INFINITY)}, sums[4] = {0};
  EACH(j, n, u, length, {
    vf value = padded(get(s + j, LANES) * scale, n, -INFINITY);
    put(s + j, value, LANES);
    top[u] = value > top[u] ? value : top[u];
  });
  top[0] = top[0] > top[1] ? top[0] : top[1];
  top[2] = top[2] > top[3] ? top[2] : top[3];
  float most = largest(top[0] > top[2] ? top[0] : top[2]);
  EACH(j, n, u, length, {
    vf value = padded(exp_of(get(s + j, LANES) - most), n, 0);
    put(s + j, value, LANES);
    sums[u] += value;
  });
  float inverse = 1.0f / sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  EACH(j, n, u, length, put(s + j, get(s + j, LANES) * inverse, LANES); (void)n;);
  stats[0] = most;
  stats[1] = inverse;
}
/// The same again from its stats, to the same bits.
INLINE void softmax_row_again(float *s, const float *stats, size_t length, float scale) {
  EACH(j, n, u, length, {
    vf value = get(s + j, LANES) * scale;  // rounded before the difference, as above
    put(s + j, padded(exp_of(value - stats[0]), n, 0) * stats[1], LANES);
  });
}

static void attention_forward(const ck_attention *a, float *out) {
  size_t length = a->length, width = a->width, long_row = rounded(length), row = rounded(width);
  float *keys = a->scratch, *values = keys + width * long_row, *scores = values + length * row;
  pack_transposed(keys, a->k, length, width, a->stride);
  pack(values, a->v, length, width, a->stride);
  for (size_t first = 0; first < length; first += BAND) {
    size_t rows = band_rows(a, first);
    left q = {a->q + first * a->stride, a->stride, 1};
    product(scores, long_row, q, keys, long_row, width, rows, long_row, false);
    for (size_t i = 0; i < rows; i++) {
      float *s = scores + i * long_row, unused[2];
      softmax_row(s, a->stats ? a->stats + 2 * (first + i) : unused, length, a->scale);
      if (a->probs) memcpy(a->probs + (first + i) * length, s, length * sizeof(float));
      if (a->dropout.threshold)
        EACH_WITH_WORDS(j, n, words, length, &a->dropout, a->places[first + i], first_counter(a),
                        put(s + j, dropped(get(s + j, LANES), words, &a->dropout), LANES); (void)n;);
    }
    left weights = {scores, long_row, 1};
    product(out + first * a->out_stride, a->out_stride, weights, values, row, length, rows, width, false);
  }
}

/// From dP′ in `ds` (P′ the dropped probabilities): the gradient of the scores into `ds`, P′ into `weights`.
INLINE void softmax_row_backward(float *ds, float *weights, const float *probs, const ck_attention *a, size_t i) {
  vf inner[4] = {0};
  if (a->dropout.threshold)
    EACH_WITH_WORDS(j, n, words, a->length, &a->dropout, a->places[i], first_counter(a), {
      put(weights + j, dropped(get(probs + j, n), words, &a->dropout), LANES);
      put(ds + j, dropped(get(ds + j, LANES), words, &a->dropout), LANES);
    });
  else
    EACH(j, n, u, a->length, put(weights + j, get(probs + j, n), LANES););
  EACH(j, n, u, a->length, inner[u] = fma_(get(ds + j, LANES), get(probs + j, n), inner[u]););
  float mean = sum((inner[0] + inner[1]) + (inner[2] + inner[3]));
  EACH(j, n, u, a->length, put(ds + j, (get(ds + j, LANES) - mean) * get(probs + j, n) * a->scale, LANES););
}

static void attention_backward(const ck_attention *a, const float *dout, float *dq, float *dk, float *dv) {
  size_t length = a->length, width = a->width, long_row = rounded(length), row = rounded(width);
  size_t band = length < BAND ? length : BAND;
  float *values = a->scratch, *keys = values + width * long_row, *queries = keys + length * row;
  float *gradients = queries + band * row, *ds = gradients + band * row, *weights = ds + band * long_row;
  float *again = weights + band * long_row, *keys_by_column = again + band * long_row;
  if (!a->probs) pack_transposed(keys_by_column, a->k, length, width, a->stride);
  pack_transposed(values, a->v, length, width, a->stride);
  pack(keys, a->k, length, width, a->stride);
  for (size_t first = 0; first < length; first += BAND) {
    size_t rows = band_rows(a, first);
    left g = {dout + first * a->out_stride, a->out_stride, 1};
    pack(queries, a->q + first * a->stride, rows, width, a->stride);
    pack(gradients, g.p, rows, width, a->out_stride);
    product(ds, long_row, g, values, long_row, width, rows, long_row, false);
    if (!a->probs) {
      left q = {a->q + first * a->stride, a->stride, 1};
      product(again, long_row, q, keys_by_column, long_row, width, rows, long_row, false);
      for (size_t i = 0; i < rows; i++) softmax_row_again(again + i * long_row, a->stats + 2 * (first + i), length, a->scale);
    }
    for (size_t i = 0; i < rows; i++) {
      const float *probs = a->probs ? a->probs + (first + i) * length : again + i * long_row;
      softmax_row_backward(ds + i * long_row, weights + i * long_row, probs, a, first + i);
    }
    left by_row = {ds, long_row, 1}, by_column = {ds, 1, long_row}, dropped_by_column = {weights, 1, long_row};
    product(dq + first * a->stride, a->stride, by_row, keys, row, length, rows, width, false);
    product(dk, a->stride, by_column, queries, row, rows, length, width, first > 0);
    product(dv, a->stride, dropped_by_column, gradients, row, rows, length, width, first > 0);
  }
}
