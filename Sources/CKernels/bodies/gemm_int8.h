// Product of int8 factors: activations are rounded as they come, a scale a row; weights were before, a scale an output.
// Sums of int8 products are exact, so every instruction set gives the same numbers. The instruction set has defined
//   CK_MULTIPLY_QUADS(depth, a, a_stride, b, sums)
//                   sums[32 x 32] (int32) = A B over `depth` words of four numbers, a multiple of 16: row r of A at
//                   a + r a_stride (bytes), row p of B at b + 32 p (words); between CK_BEGIN_TILES and CK_END_TILES

#ifndef CK_MULTIPLY_QUADS
static void CK(multiply_quads)(size_t depth, const int8_t *a, size_t a_stride, const uint32_t *b, int32_t *sums) {
  for (size_t r = 0; r < 32; r++, a += a_stride, sums += 32) {
    memset(sums, 0, 32 * sizeof *sums);
    for (size_t p = 0; p < depth; p++) {
      const int8_t *x = a + 4 * p, *w = (const int8_t *)(b + 32 * p);
      for (size_t i = 0; i < 32; i++)
        sums[i] += x[0] * w[4 * i] + x[1] * w[4 * i + 1] + x[2] * w[4 * i + 2] + x[3] * w[4 * i + 3];
    }
  }
}
#define CK_MULTIPLY_QUADS(depth, a, a_stride, b, sums) CK(multiply_quads)(depth, a, a_stride, b, sums)
#endif
#ifndef CK_BEGIN_TILES
#define CK_BEGIN_TILES
#define CK_END_TILES
#endif

enum {
  QUAD_SQUARE = 32,
  // Bytes of k that stand together in a tile; rows are filled up to them.
  QUAD_BYTES = 64,
  // Words of a packed block of B.
  QUAD_BLOCK = 1 << 18,
};

// scale[r] = the largest |x| of row r / 127, to[r] = x / scale rounded to nearest, ties to even; zeros behind.
static void CK(round_rows)(const float *x, size_t stride, int8_t *to, size_t to_stride, float *scales, size_t rows, size_t columns) {
  // Not fused, so that every instruction set rounds alike.
#pragma clang fp contract(off)
  for (size_t r = 0; r < rows; r++, x += stride, to += to_stride) {
    // Without its sign a float's bits are in the order of its size, and integers have no NaN that would keep them apart.
    const ck_bits *bits = (const ck_bits *)x;
    uint32_t largest = 0;
    for (size_t i = 0; i < columns; i++) {
      uint32_t size = bits[i] & 0x7fffffffu;
      largest = size > largest ? size : largest;
    }
    union { uint32_t u; float f; } top = {largest};
    scales[r] = top.f / 127;
    float factor = top.f > 0 ? 127 / top.f : 0;
    const float magic = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer, which stays in the low bits
    for (size_t i = 0; i < columns; i++) {
      union { float f; uint32_t u; } rounded = {x[i] * factor + magic};
      to[i] = (int8_t)(rounded.u - 0x4b400000u);
    }
    memset(to + columns, 0, to_stride - columns);
  }
}

// Columns `column` ... of a transposed B (row-major int8, n x k, k filled up to whole words of 64 bytes) as a panel of words.
static void CK(pack_quads)(const int8_t *b, size_t b_stride, size_t width, size_t depth, uint32_t *out) {
  uint32_t square[LANES * LANES] __attribute__((aligned(64)));
  for (size_t p = 0; p < depth; p += LANES) {
    for (size_t i = 0; i < QUAD_SQUARE; i += LANES) {
      size_t rows = i >= width ? 0 : width - i < LANES ? width - i : LANES;
      if (rows < LANES) memset(square, 0, sizeof square);
      for (size_t r = 0; r < rows; r++) memcpy(square + r * LANES, b + (i + r) * b_stride + 4 * p, 4 * LANES);
      ck_transpose((const float *)square, LANES, (float *)out + p * QUAD_SQUARE + i, QUAD_SQUARE);
    }
  }
}

__attribute__((unused)) static void CK(gemm_int8)(size_t m, size_t n, size_t k, const float *a, size_t a_stride, const int8_t *b, size_t b_stride,
                          const float *b_scales, float beta, float *c, size_t c_stride) {
#pragma clang fp contract(off)
  size_t bytes = (k + QUAD_BYTES - 1) / QUAD_BYTES * QUAD_BYTES, depth = bytes / 4;
  size_t most = QUAD_BLOCK / depth / QUAD_SQUARE * QUAD_SQUARE;
  size_t block_columns = ck_even(n, most > QUAD_SQUARE ? most : QUAD_SQUARE, QUAD_SQUARE);
  size_t rows_there = (m + QUAD_SQUARE - 1) / QUAD_SQUARE * QUAD_SQUARE, panel = depth * QUAD_SQUARE + 16;
  size_t panels = (block_columns + QUAD_SQUARE - 1) / QUAD_SQUARE;
  uint32_t *block = ck_int8_scratch(4 * panels * panel + rows_there * bytes + 4 * rows_there + 64);
  float *scales = (float *)(block + panels * panel);
  int8_t *rounded = (int8_t *)(scales + rows_there);
  CK(round_rows)(a, a_stride, rounded, bytes, scales, m, k);
  int32_t sums[QUAD_SQUARE * QUAD_SQUARE] __attribute__((aligned(64)));
  CK_BEGIN_TILES;
  for (size_t j = 0; j < n; j += block_columns) {
    size_t width = n - j < block_columns ? n - j : block_columns;
    for (size_t q = 0; q < width; q += QUAD_SQUARE)
      CK(pack_quads)(b + (j + q) * b_stride, b_stride, width - q, depth, block + q / QUAD_SQUARE * panel);
    for (size_t i = 0; i < m; i += QUAD_SQUARE) {
      size_t rows = m - i < QUAD_SQUARE ? m - i : QUAD_SQUARE;
      for (size_t q = 0; q < width; q += QUAD_SQUARE) {
        size_t columns = width - q < QUAD_SQUARE ? width - q : QUAD_SQUARE;
        CK_MULTIPLY_QUADS(depth, rounded + i * bytes, bytes, block + q / QUAD_SQUARE * panel, sums);
        for (size_t r = 0; r < rows; r++) {
          float *to = c + (i + r) * c_stride + j + q;
          const int32_t *from = sums + r * QUAD_SQUARE;
          const float *by = b_scales + j + q;
          float scale = scales[i + r];
          if (beta == 0)
            for (size_t x = 0; x < columns; x++) to[x] = scale * by[x] * (float)from[x];
          else
            for (size_t x = 0; x < columns; x++) to[x] = scale * by[x] * (float)from[x] + beta * to[x];
        }
      }
    }
  }
  CK_END_TILES;
}
