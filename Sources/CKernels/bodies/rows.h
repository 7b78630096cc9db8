// Loops over rows; included once for each instruction set.
static void CK(rms_norm)(float *y, float *inverse_rms, const float *x, const float *w, float epsilon, size_t rows,
                             size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *a = x + r * columns;
    float sum = 0;
    for (size_t i = 0; i < columns; i++) sum += a[i] * a[i];
    float inverse = 1.0f / __builtin_sqrtf(sum / (float)columns + epsilon);
    inverse_rms[r] = inverse;
    float *out = y + r * columns;
    for (size_t i = 0; i < columns; i++) out[i] = a[i] * inverse * w[i];
  }
}

// With n = x * inv: dx = inv * (w dy - n * mean(w dy * n)).
static void CK(rms_norm_backward)(float *dx, const float *dy, const float *x, const float *inverse_rms,
                                      const float *w, size_t rows, size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *a = x + r * columns, *d = dy + r * columns;
    float *out = dx + r * columns;
    float inverse = inverse_rms[r], sum = 0;
    for (size_t i = 0; i < columns; i++) sum += d[i] * w[i] * a[i];
    float pull = sum * inverse * inverse / (float)columns;
    for (size_t i = 0; i < columns; i++) out[i] += inverse * (d[i] * w[i] - a[i] * pull);
  }
}

static void CK(layer_norm)(float *y, float *mean, float *inverse_sd, const float *x, const float *w, const float *b,
                               float epsilon, size_t rows, size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *a = x + r * columns;
    float sum = 0;
    for (size_t i = 0; i < columns; i++) sum += a[i];
    float m = sum / (float)columns, square = 0;
    for (size_t i = 0; i < columns; i++) square += (a[i] - m) * (a[i] - m);
    float inverse = 1.0f / __builtin_sqrtf(square / (float)columns + epsilon);
    mean[r] = m;
    inverse_sd[r] = inverse;
    float *out = y + r * columns;
    for (size_t i = 0; i < columns; i++) out[i] = (a[i] - m) * inverse * w[i] + b[i];
  }
}

// With n = (x - mean) inv and g = w dy: dx = inv (g - mean(g) - n mean(g n)).
static void CK(layer_norm_backward)(float *dx, float *dw, float *db, const float *dy, const float *x,
                                        const float *mean, const float *inverse_sd, const float *w, size_t rows,
                                        size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    const float *a = x + r * columns, *d = dy + r * columns;
    float *out = dx + r * columns;
    float m = mean[r], inverse = inverse_sd[r], sum = 0, weighted = 0;
    if (dw) for (size_t i = 0; i < columns; i++) dw[i] += d[i] * (a[i] - m) * inverse;
    if (db) for (size_t i = 0; i < columns; i++) db[i] += d[i];
    for (size_t i = 0; i < columns; i++) {
      float g = d[i] * w[i];
      sum += g;
      weighted += g * (a[i] - m) * inverse;
    }
    sum /= (float)columns;
    weighted /= (float)columns;
    for (size_t i = 0; i < columns; i++) out[i] = inverse * (d[i] * w[i] - sum - (a[i] - m) * inverse * weighted);
  }
}

// `count` vectors of a row of a table.
CK_INLINE void CK(add_run)(V *sums, const int count, const void *table, size_t first, int is_bf16) {
  typedef uint16_t HALVES __attribute__((vector_size(2 * LANES), aligned(2)));
  CK_UNROLL
  for (int i = 0; i < count; i++) {
    size_t place = first + (size_t)i * LANES;
    if (is_bf16) {
      HALVES halves = *(const HALVES *)((const uint16_t *)table + place);
      sums[i] += (V)(__builtin_convertvector(halves, LANE_BITS) << 16);
    } else {
      sums[i] += *(const UNALIGNED_V *)((const float *)table + place);
    }
  }
}

static void CK(sum_rows)(float *y, const void *table, size_t stride, int is_bf16, const int64_t *rows, size_t count,
                         size_t n) {
  enum { RUN = 8, AHEAD = 8 };
  size_t c = 0;
  for (; c + LANES <= n;) {
    // Sums stay in registers; the rows to come are fetched, for they lie anywhere.
    int wide = c + RUN * LANES <= n;
    V sums[RUN] = {{0}};
    for (size_t r = 0; r < count; r++) {
      size_t first = (size_t)rows[r] * stride + c;
      if (r + AHEAD < count) {
        const char *next = (const char *)table + ((size_t)rows[r + AHEAD] * stride + c) * (is_bf16 ? 2 : 4);
        for (size_t byte = 0; byte < RUN * LANES * (is_bf16 ? 2 : 4); byte += 64) __builtin_prefetch(next + byte);
      }
      if (wide && is_bf16) CK(add_run)(sums, RUN, table, first, 1);
      else if (wide) CK(add_run)(sums, RUN, table, first, 0);
      else CK(add_run)(sums, 1, table, first, is_bf16);
    }
    for (int i = 0; i < (wide ? RUN : 1); i++) *(UNALIGNED_V *)(y + c + (size_t)i * LANES) = sums[i];
    c += wide ? RUN * LANES : LANES;
  }
  for (; c < n; c++) {
    float sum = 0;
    for (size_t r = 0; r < count; r++) {
      size_t place = (size_t)rows[r] * stride + c;
      sum += is_bf16 ? ck_from_bf16(((const uint16_t *)table)[place]) : ((const float *)table)[place];
    }
    y[c] = sum;
  }
}

// By vectors: the compiler keeps a comparison's order for the sake of NaN, one number at a time.
CK_INLINE float CK(row_max)(const float *a, size_t n) {
  float largest = a[0];
  size_t i = 0;
  if (n >= LANES) {
    V lanes = *(const UNALIGNED_V *)a;
    for (i = LANES; i + LANES <= n; i += LANES) lanes = __builtin_elementwise_max(lanes, (V) * (const UNALIGNED_V *)(a + i));
    largest = CK_MAX_LANES(lanes);
  }
  for (; i < n; i++) largest = a[i] > largest ? a[i] : largest;
  return largest;
}

// a = e^(scale a - the largest) over the first `kept` of some columns, and their sum; the others are left undefined. `columns` is
// a multiple of two vectors.
static float CK(exp_row)(float *a, float scale, size_t kept, size_t columns) {
  // So small that they do not show in the sum.
  for (size_t i = kept; i < columns; i++) a[i] = -1e30f;
  float top = CK(row_max)(a, columns) * scale;
  V sums[2] = {{0}, {0}};
  for (size_t i = 0; i < columns; i += 2 * LANES)
    for (size_t half = 0; half < 2; half++) {
      UNALIGNED_V *place = (UNALIGNED_V *)(a + i + half * LANES);
      V value = CK_EXP_LANES(*place * scale - top);
      *place = value;
      sums[half] += value;
    }
  return CK_SUM_LANES(sums[0] + sums[1]);
}

static void CK(softmax)(float *s, float scale, size_t first_kept, size_t rows, size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    float *a = s + r * columns;
    size_t kept = first_kept + r < columns ? first_kept + r : columns;
    float top = CK(row_max)(a, kept) * scale, sum = 0;
    for (size_t i = 0; i < kept; i++) {
      a[i] = ck_exp(a[i] * scale - top);
      sum += a[i];
    }
    float inverse = 1.0f / sum;
    for (size_t i = 0; i < kept; i++) a[i] *= inverse;
    for (size_t i = kept; i < columns; i++) a[i] = 0;
  }
}

static void CK(softmax_backward)(float *dp, const float *p, float scale, size_t rows, size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    float *d = dp + r * columns;
    const float *a = p + r * columns;
    float sum = 0;
    for (size_t i = 0; i < columns; i++) sum += d[i] * a[i];
    for (size_t i = 0; i < columns; i++) d[i] = scale * a[i] * (d[i] - sum);
  }
}

static void CK(exp_block)(float *logits, size_t stride, float *top, double *total, float *block_top, size_t rows,
                          size_t columns) {
  CK_REASSOCIATE
  for (size_t r = 0; r < rows; r++) {
    float *a = logits + r * stride;
    float largest = CK(row_max)(a, columns), before = top[r], sum = 0;
    if (before > largest) largest = before;
    for (size_t i = 0; i < columns; i++) {
      a[i] = ck_exp(a[i] - largest);
      sum += a[i];
    }
    total[r] = total[r] * (double)ck_exp(before - largest) + (double)sum;
    top[r] = block_top[r] = largest;
  }
}
