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
  // Bytes of k that stand together in a tile; rows are filled up to them.
  QUAD_BYTES = 64,
  QUAD_GAP = 16,
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
    // So small a row that it has no factor counts as zeros.
    float factor = top.f > 0 && 127 / top.f < INFINITY ? 127 / top.f : 0;
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
    for (size_t i = 0; i < SQUARE; i += LANES) {
      size_t rows = i >= width ? 0 : width - i < LANES ? width - i : LANES;
      if (rows < LANES) memset(square, 0, sizeof square);
      for (size_t r = 0; r < rows; r++) memcpy(square + r * LANES, b + (i + r) * b_stride + 4 * p, 4 * LANES);
      ck_transpose((const float *)square, LANES, (float *)out + p * SQUARE + i, SQUARE);
    }
  }
}

// A packed weight: a scale an output, filled up to whole squares, then panels of 32 outputs.
CK_INLINE size_t CK(quad_depth)(size_t k) { return (k + QUAD_BYTES - 1) / QUAD_BYTES * QUAD_BYTES / 4; }
CK_INLINE size_t CK(quad_columns)(size_t n) { return (n + SQUARE - 1) / SQUARE * SQUARE; }
CK_INLINE size_t CK(quad_panel)(size_t k) { return CK(quad_depth)(k) * SQUARE + QUAD_GAP; }

static size_t CK(packed_bytes_int8)(size_t n, size_t k) {
  return 4 * (CK(quad_columns)(n) + CK(quad_columns)(n) / SQUARE * CK(quad_panel)(k));
}

static void CK(pack_int8)(size_t n, size_t k, ck_factor w, uint32_t *packed) {
  size_t depth = CK(quad_depth)(k), bytes = 4 * depth;
  float *scales = (float *)packed, *row = ck_scratch(SQUARE * bytes + 4 * k + 64);
  int8_t *rounded = (int8_t *)(row + k);
  uint32_t *panel = packed + CK(quad_columns)(n);
  memset(scales, 0, 4 * CK(quad_columns)(n));
  for (size_t j = 0; j < n; j += SQUARE, panel += CK(quad_panel)(k)) {
    size_t width = n - j < SQUARE ? n - j : SQUARE;
    for (size_t r = 0; r < width; r++) {
      CK(along)(&w, j + r, 0, k, 0, row);
      CK(round_rows)(row, k, rounded + r * bytes, bytes, scales + j + r, 1, k);
    }
    CK(pack_quads)(rounded, bytes, width, depth, panel);
    memset(panel + depth * SQUARE, 0, 4 * QUAD_GAP);
  }
}

// Bytes of a panel of SQUARE rows as deep as k.
CK_INLINE size_t CK(panel_bytes_int8)(size_t k) { return SQUARE * 4 * CK(quad_depth)(k); }

static void CK(linear_int8)(size_t m, size_t n, size_t k, const float *x, size_t x_stride, const uint32_t *packed,
                            float beta, const ck_finish *finish, float *y, size_t y_stride, int8_t *panel) {
  // Not fused, so that every instruction set rounds alike.
#pragma clang fp contract(off)
  size_t depth = CK(quad_depth)(k), bytes = 4 * depth, gap = CK(quad_panel)(k);
  const float *outputs = (const float *)packed;
  const uint32_t *panels = packed + CK(quad_columns)(n);
  float scales[SQUARE], square[SQUARE * SQUARE] __attribute__((aligned(64)));
  // Squares are finished while the next one is multiplied, as in linear_tiles.
  int32_t sums[2][SQUARE * SQUARE] __attribute__((aligned(64)));
  CK_BEGIN_TILES;
  for (size_t i = 0; i < m; i += SQUARE) {
    size_t rows = m - i < SQUARE ? m - i : SQUARE;
    CK(round_rows)(x + i * x_stride, x_stride, panel, bytes, scales, rows, k);
    for (size_t j = 0; j < n + SQUARE; j += SQUARE) {
      if (j < n) CK_MULTIPLY_QUADS(depth, panel, bytes, panels + j / SQUARE * gap, sums[j / SQUARE % 2]);
      if (j == 0) continue;
      size_t done = j - SQUARE, columns = n - done < SQUARE ? n - done : SQUARE;
      const int32_t *restrict from = sums[done / SQUARE % 2];
      for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < SQUARE; c += LANES) {
          LANE_BITS sum = *(const LANE_BITS *)(from + r * SQUARE + c);
          V scale = scales[r] * *(const UNALIGNED_V *)(outputs + done + c);
          *(V *)(square + r * SQUARE + c) = scale * __builtin_convertvector(sum, V);
        }
      CK(finish_square)(finish, square, rows, columns, i, done, beta, y, y_stride, 0);
    }
  }
  CK_END_TILES;
}
