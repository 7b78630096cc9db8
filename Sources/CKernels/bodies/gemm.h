// Matrix product in vector registers, included once for each instruction set and each kind of word. Beside what packing.h
// asks for, the instruction set has defined
//   TILE_ROWS       rows of C that a tile keeps in registers; a tile is 2 vectors wide
// and the words CK_MULTIPLY_ADD(sum, x, packed).
//
// The blocked algorithm of Goto & van de Geijn (2008): a block of B is packed into the level-2 cache.
//
// Every element of C is summed over k in one order that depends on k and on whether B is transposed alone: rows,
// columns, workers and the tile's shape do not change its bits.

#include "packing.h"

// C[R x 2 LANES] = alpha A B + beta C: a at [r a_row + p a_column], b packed.
CK_INLINE void CK_WORDS(tile)(const int R, size_t depth, const WORD *a, size_t a_row, size_t a_column, const WORD *b,
                              float *c, size_t c_stride, float alpha, float beta) {
  // Fused, but in order: the sum over p must not depend on R.
#pragma clang fp contract(fast) reassociate(off)
  V sum[TILE_ROWS][2];
  CK_UNROLL
  for (int r = 0; r < R; r++) {
    sum[r][0] = sum[r][1] = (V){0};
    __builtin_prefetch(c + r * c_stride, 1);
    __builtin_prefetch(c + r * c_stride + TILE_COLUMNS - 1, 1);
  }
  for (size_t p = 0; p < depth; p++, a += a_column, b += TILE_COLUMNS) {
    // The processor's own prefetcher starts anew with every tile; this does not.
    __builtin_prefetch(b + 8 * TILE_COLUMNS);
    __builtin_prefetch(b + 8 * TILE_COLUMNS + LANES);
    V left = *(const V *)b, right = *(const V *)(b + LANES);
    CK_UNROLL
    for (int r = 0; r < R; r++) {
      WORD x = a[r * a_row];
      sum[r][0] = CK_MULTIPLY_ADD(sum[r][0], x, left);
      sum[r][1] = CK_MULTIPLY_ADD(sum[r][1], x, right);
    }
  }
  CK_UNROLL
  for (int r = 0; r < R; r++) {
    for (int half = 0; half < 2; half++) {
      UNALIGNED_V *place = (UNALIGNED_V *)(c + r * c_stride + half * LANES);
      *place = beta == 0 ? (V)(alpha * sum[r][half]) : (V)(alpha * sum[r][half] + beta * *place);
    }
  }
}

// A tile of `rows` rows from a panel of A's rows, or of its columns.
static void CK_WORDS(tile_rows)(size_t rows, size_t depth, const WORD *a, int a_transposed, const WORD *b, float *c,
                                size_t c_stride, float alpha, float beta) {
#define CK_ROWS(R)                                                                                \
  case R:                                                                                         \
    if (a_transposed) CK_WORDS(tile)(R, depth, a, 1, MAX_TILE_ROWS, b, c, c_stride, alpha, beta); \
    else CK_WORDS(tile)(R, depth, a, PANEL_STRIDE, 1, b, c, c_stride, alpha, beta);               \
    break;
  switch (rows) {
    CK_ROWS(1) CK_ROWS(2) CK_ROWS(3) CK_ROWS(4)
#if CK_TILE_ROWS > 4
    CK_ROWS(5) CK_ROWS(6)
#endif
#if CK_TILE_ROWS > 6
    CK_ROWS(7) CK_ROWS(8) CK_ROWS(9) CK_ROWS(10) CK_ROWS(11) CK_ROWS(12) CK_ROWS(13) CK_ROWS(14)
#endif
  }
#undef CK_ROWS
}

// `rows` rows of A from `row` on: a panel of rows, or of columns where A is transposed, each at a fixed stride.
static void CK_WORDS(panel)(const ck_factor *a, size_t row, size_t rows, size_t k, size_t first, size_t depth,
                            int rounds, WORD *panel) {
  if (a->is_transposed) {
    for (size_t p = 0; p < depth; p++) {
      WORD *to = panel + p * MAX_TILE_ROWS;
      // The size that is known beforehand is copied by vectors.
      if (rows == TILE_ROWS) CK_WORDS(across)(a, k, (first + p) * WORD_NUMBERS, row, TILE_ROWS, rounds, to);
      else CK_WORDS(across)(a, k, (first + p) * WORD_NUMBERS, row, rows, rounds, to);
    }
  } else {
    size_t numbers = CK_WORDS(numbers)(k, first, depth);
    for (size_t r = 0; r < rows; r++)
      CK_WORDS(along)(a, row + r, first * WORD_NUMBERS, numbers, rounds, panel + r * PANEL_STRIDE);
  }
}

// The last, partial column panel of a block goes through a tile of its own, with the same arithmetic.
static void CK_WORDS(edge)(size_t rows, size_t depth, const WORD *a, int a_transposed, const WORD *b, size_t width,
                           float *c, size_t c_stride, float alpha, float beta) {
  float tile[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64))) = {0};
  if (beta != 0)
    for (size_t r = 0; r < rows; r++) memcpy(tile + r * TILE_COLUMNS, c + r * c_stride, width * sizeof(float));
  CK_WORDS(tile_rows)(rows, depth, a, a_transposed, b, tile, TILE_COLUMNS, alpha, beta);
  for (size_t r = 0; r < rows; r++) memcpy(c + r * c_stride, tile + r * TILE_COLUMNS, width * sizeof(float));
}

// The second factor is packed on the way, a block at a time, or was before: then `packed` holds it whole, its panels `gap` words
// apart. The blocks' depth is the same, and so are the bits.
static void CK_WORDS(product)(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, const WORD *packed,
                              size_t gap, float beta, float *c, size_t c_stride, int rounds, const ck_finish *finish) {
  size_t words = (k + WORD_NUMBERS - 1) / WORD_NUMBERS;
  size_t block_depth = ck_even(words, b.is_transposed ? BLOCK_LONG : BLOCK_SHORT, 16);
  size_t block_columns = ck_even(n, b.is_transposed ? BLOCK_SHORT : BLOCK_LONG, 64);
  // Of a packed factor as many columns as fill the cache: fewer passes over A.
  if (packed) block_columns = ck_even(n, BLOCK_LONG * BLOCK_SHORT / block_depth / 64 * 64, 64);
  WORD *panel = (WORD *)ck_gemm_scratch(), *block = panel + MAX_TILE_ROWS * PANEL_STRIDE;
  for (size_t j = 0; j < n; j += block_columns) {
    size_t width = n - j < block_columns ? n - j : block_columns;
    for (size_t p = 0; p < words; p += block_depth) {
      size_t depth = words - p < block_depth ? words - p : block_depth;
      const WORD *from = packed ? packed + j / TILE_COLUMNS * gap + p * TILE_COLUMNS : block;
      size_t step = packed ? gap : depth * TILE_COLUMNS + PANEL_GAP;
      if (!packed) CK_WORDS(pack)(&b, k, p, depth, j, width, rounds, block);
      float keep = p == 0 ? beta : 1;
      for (size_t i = 0; i < m; i += TILE_ROWS) {
        size_t rows = m - i < TILE_ROWS ? m - i : TILE_ROWS;
        CK_WORDS(panel)(&a, i, rows, k, p, depth, rounds, panel);
        for (size_t q = 0; q < width; q += TILE_COLUMNS) {
          float *place = c + i * c_stride + j + q;
          const WORD *columns = from + q / TILE_COLUMNS * step;
          if (width - q >= TILE_COLUMNS) {
            CK_WORDS(tile_rows)(rows, depth, panel, a.is_transposed, columns, place, c_stride, alpha, keep);
          } else {
            CK_WORDS(edge)(rows, depth, panel, a.is_transposed, columns, width - q, place, c_stride, alpha, keep);
          }
        }
        if (finish && p + depth == words) CK(finish)(finish, i, rows, j, width, c + i * c_stride + j, c_stride);
      }
    }
  }
}

#undef WORD
#undef WORD_NUMBERS
#undef CK_WORDS
#undef CK_MULTIPLY_ADD
