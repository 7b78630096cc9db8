// Matrix product of bf16 pairs by an instruction that multiplies whole tiles (Intel AMX). Beside what packing.h asks for,
// the instruction set has defined
//   CK_BEGIN_TILES, CK_END_TILES   what a thread says before and after
//   CK_MULTIPLY_TILES(depth, a, b, c, c_stride)
//                   C[32 x 32] += A B over `depth` words, a multiple of 16: row r of A at a + r TILE_PANEL_STRIDE, row p of
//                   B at b + 32 p. Sixteen words of k are summed apart, those of even and of odd numbers too; then they are added.
//
// So an element of C is summed in an order that depends on k alone: rows, columns and workers do not change its bits.

#include "packing.h"

enum {
  // Squares of rows and columns: two tiles of A and two of B for four of C.
  SQUARE = 32,
  TILE_DEPTH = 16,
  TILE_BLOCK_DEPTH = 256,
  TILE_BLOCK_COLUMNS = 1024,
  TILE_PANEL_STRIDE = TILE_BLOCK_DEPTH + 16,
};

// SQUARE rows of A from `row` on, of which `rows` are there, by `depth` words along k, zeros past its end.
static void CK(panel_tiles)(const ck_factor *a, size_t row, size_t rows, size_t k, size_t first, size_t depth, WORD *panel) {
  size_t numbers = CK_WORDS(numbers)(k, first, depth), words = (numbers + 1) / 2;
  if (!a->is_transposed) {
    for (size_t r = 0; r < rows; r++) {
      WORD *to = panel + r * TILE_PANEL_STRIDE;
      CK_WORDS(along)(a, row + r, first * WORD_NUMBERS, numbers, 1, to);
      memset(to + words, 0, (depth - words) * sizeof(WORD));
    }
    return;
  }
  WORD square[LANES * LANES] __attribute__((aligned(64)));
  for (size_t r = 0; r < rows; r += LANES) {
    size_t width = rows - r < LANES ? rows - r : LANES;
    for (size_t p = 0; p < depth; p += LANES) {
      size_t count = p >= words ? 0 : words - p < LANES ? words - p : LANES;
      if (count < LANES) memset(square, 0, sizeof square);
      for (size_t q = 0; q < count; q++)
        CK_WORDS(across)(a, k, (first + p + q) * WORD_NUMBERS, row + r, width, 1, square + q * LANES);
      ck_transpose((const float *)square, LANES, (float *)panel + r * TILE_PANEL_STRIDE + p, TILE_PANEL_STRIDE);
    }
  }
}

// A square of C that is written in part, scaled, or added to in another measure than one goes through a copy.
static void CK(square_apart)(size_t rows, size_t width, size_t depth, const WORD *a, const WORD *b, float *c, size_t c_stride,
                             float alpha, float beta) {
  float square[SQUARE * SQUARE] __attribute__((aligned(64))) = {0};
  int adds_in_place = alpha == 1 && beta == 1;
  if (adds_in_place)
    for (size_t r = 0; r < rows; r++) memcpy(square + r * SQUARE, c + r * c_stride, width * sizeof(float));
  CK_MULTIPLY_TILES(depth, a, b, square, SQUARE);
  for (size_t r = 0; r < rows; r++) {
    float *place = c + r * c_stride, *from = square + r * SQUARE;
    if (adds_in_place || (alpha == 1 && beta == 0)) memcpy(place, from, width * sizeof(float));
    else if (beta == 0)
      for (size_t i = 0; i < width; i++) place[i] = alpha * from[i];
    else
      for (size_t i = 0; i < width; i++) place[i] = alpha * from[i] + beta * place[i];
  }
}

static void CK(product_tiles)(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                              size_t c_stride) {
  size_t words = (k + 1) / 2;
  size_t block_depth = ck_even(words, TILE_BLOCK_DEPTH, TILE_DEPTH);
  size_t block_columns = ck_even(n, TILE_BLOCK_COLUMNS, 2 * SQUARE);
  WORD *panel = (WORD *)ck_gemm_scratch(), *block = panel + SQUARE * TILE_PANEL_STRIDE;
  CK_BEGIN_TILES;
  for (size_t j = 0; j < n; j += block_columns) {
    size_t width = n - j < block_columns ? n - j : block_columns;
    for (size_t p = 0; p < words; p += block_depth) {
      size_t left = words - p < block_depth ? words - p : block_depth;
      size_t depth = (left + TILE_DEPTH - 1) / TILE_DEPTH * TILE_DEPTH;
      CK_WORDS(pack)(&b, k, p, depth, j, width, 1, block);
      float keep = p == 0 ? beta : 1;
      for (size_t i = 0; i < m; i += SQUARE) {
        size_t rows = m - i < SQUARE ? m - i : SQUARE;
        CK(panel_tiles)(&a, i, rows, k, p, depth, panel);
        for (size_t q = 0; q < width; q += SQUARE) {
          size_t columns = width - q < SQUARE ? width - q : SQUARE;
          float *place = c + i * c_stride + j + q;
          const WORD *packed = block + q / SQUARE * (depth * SQUARE + PANEL_GAP);
          if (rows == SQUARE && columns == SQUARE && alpha == 1 && keep == 1) {
            CK_MULTIPLY_TILES(depth, panel, packed, place, c_stride);
          } else {
            CK(square_apart)(rows, columns, depth, panel, packed, place, c_stride, alpha, keep);
          }
        }
      }
    }
  }
  CK_END_TILES;
}

#undef WORD
#undef WORD_NUMBERS
#undef CK_WORDS
#undef CK_MULTIPLY_ADD
