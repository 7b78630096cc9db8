// What is left to do to a product while it is in the cache: y = residual + act(product + bias).

// To some rows of y, in which the product stands.
static void CK(finish)(const ck_finish *finish, size_t row, size_t rows, size_t column, size_t columns, float *y,
                       size_t y_stride) {
  for (size_t r = 0; r < rows; r++, y += y_stride) {
    if (finish->bias) CK(add)(y, finish->bias + column, columns);
    if (finish->gelu) CK(gelu)(y, y, columns);
    if (finish->residual) CK(add)(y, finish->residual + (row + r) * finish->residual_stride + column, columns);
  }
}

enum { SQUARE = 32 };

// Whole rows of a square: by whole aligned vectors, as tiles store them. What is asked for is known beforehand.
CK_INLINE void CK(finish_whole)(const float *square, size_t rows, const float *bias, const int gelu, const int adds,
                                const float *residual, size_t residual_stride, const int to_bf16, void *y, size_t y_stride) {
  float rounded[SQUARE] __attribute__((aligned(64)));
  for (size_t r = 0; r < rows; r++, square += SQUARE, residual += residual_stride) {
    float *to = to_bf16 ? rounded : (float *)y + r * y_stride;
    CK_UNROLL
    for (int x = 0; x < SQUARE; x += LANES) {
      V value = *(const V *)(square + x) + *(const UNALIGNED_V *)(bias + x);
      if (gelu) value = ck_gelu_lanes(value);
      if (adds) value += *(const UNALIGNED_V *)(residual + x);
      *(UNALIGNED_V *)(to + x) = value;
    }
    if (to_bf16) CK_ROUND_RUN(rounded, SQUARE, (uint16_t *)y + r * y_stride);
  }
}

// From a square of the product that stands by itself, SQUARE numbers a row, to its place in y (f32, or bf16); beta y is added first.
static void CK(finish_square)(const ck_finish *finish, const float *square, size_t rows, size_t columns, size_t row,
                              size_t column, float beta, void *y, size_t y_stride, int y_is_bf16) {
  const ck_finish f = finish ? *finish : (ck_finish){0};
  const float zeros[SQUARE] = {0}, *bias = f.bias ? f.bias + column : zeros;
  size_t step = f.residual_stride, place = row * y_stride + column;
  const float *residual = f.residual ? f.residual + row * step + column : zeros;
  if (columns == SQUARE && beta == 0) {
    uint16_t *halves = (uint16_t *)y + place;
    float *floats = (float *)y + place;
    if (y_is_bf16 && f.gelu && !f.residual) CK(finish_whole)(square, rows, bias, 1, 0, zeros, 0, 1, halves, y_stride);
    else if (f.gelu && !f.residual && !y_is_bf16) CK(finish_whole)(square, rows, bias, 1, 0, zeros, 0, 0, floats, y_stride);
    else if (f.residual && !y_is_bf16 && !f.gelu)
      CK(finish_whole)(square, rows, bias, 0, 1, residual, step, 0, floats, y_stride);
    else if (!f.residual && !y_is_bf16) CK(finish_whole)(square, rows, bias, 0, 0, zeros, 0, 0, floats, y_stride);
    else if (y_is_bf16) CK(finish_whole)(square, rows, bias, f.gelu, f.residual != NULL, residual, step, 1, halves, y_stride);
    else CK(finish_whole)(square, rows, bias, f.gelu, f.residual != NULL, residual, step, 0, floats, y_stride);
    return;
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t x = 0; x < columns; x++) {
      size_t at = place + r * y_stride + x;
      float value = square[r * SQUARE + x];
      if (beta != 0) value += beta * ((float *)y)[at];
      value += bias[x];
      if (f.gelu) CK(gelu)(&value, &value, 1);
      if (f.residual) value += residual[r * step + x];
      if (y_is_bf16) ((uint16_t *)y)[at] = ck_to_bf16(value);
      else ((float *)y)[at] = value;
    }
}
