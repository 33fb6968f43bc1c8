// Cells of long short-term memory, one row of units at a time.

INLINE vf sigmoid_of(vf x) { return 1.0f / (exp_of(-x) + 1.0f); }

static void lstm_forward(float *gates, const float *recurrent, const float *before, float *cell, float *state,
                         size_t width) {
  EACH(j, n, u, width, {
    vf gate[4];
    for (int k = 0; k < 4; k++) {
      gate[k] = get(gates + k * width + j, n);
      if (recurrent) gate[k] += get(recurrent + k * width + j, n);
      gate[k] = k == 2 ? tanh_of(gate[k]) : sigmoid_of(gate[k]);
      put(gates + k * width + j, gate[k], n);
    }
    vf c = gate[0] * gate[2];
    if (before) c = fma_(gate[1], get(before + j, n), c);
    put(cell + j, c, n);
    put(state + j, gate[3] * tanh_of(c), n);
  });
}

static void lstm_backward(float *gates, const float *cell, const float *before, const float *dstate,
                          const float *recurrent, float *dcell, size_t width) {
  EACH(j, n, u, width, {
    vf input = get(gates + j, n), forget = get(gates + width + j, n), candidate = get(gates + 2 * width + j, n);
    vf output = get(gates + 3 * width + j, n), c = tanh_of(get(cell + j, n));
    vf dh = dstate ? get(dstate + j, n) : (vf)(0.0f);
    if (recurrent) dh += get(recurrent + j, n);
    vf dc = fma_(dh * output, fma_(-c, c, 1.0f), get(dcell + j, n));
    put(gates + j, dc * candidate * input * (1.0f - input), n);
    put(gates + width + j, before ? dc * get(before + j, n) * forget * (1.0f - forget) : (vf)(0.0f), n);
    put(gates + 2 * width + j, dc * input * fma_(-candidate, candidate, 1.0f), n);
    put(gates + 3 * width + j, dh * c * output * (1.0f - output), n);
    put(dcell + j, dc * forget, n);
  });
}
