// Matrix product of bf16 pairs by an instruction that multiplies whole tiles (Intel AMX). Beside what packing.h asks for,
// the instruction set has defined
//   CK_BEGIN_TILES, CK_END_TILES   what a thread says before and after
//   CK_MULTIPLY_TILES(depth, a, a_stride, b, c, c_stride, adds)
//                   C[32 x 32] = A B, or += with `adds`, over `depth` words, a multiple of 16: row r of A at
//                   a + r a_stride, row p of B at b + 32 p. Sixteen words of k are summed apart, those of even and of odd numbers too; then they are added.
//
// So an element of C is summed in an order that depends on k alone: rows, columns and workers do not change its bits.

#include "packing.h"

enum {
  // A square of rows and columns is two tiles of A and two of B for four of C.
  TILE_DEPTH = 16,
  TILE_BLOCK_DEPTH = 256,
  TILE_BLOCK_COLUMNS = 1024,
  TILE_PANEL_STRIDE = TILE_BLOCK_DEPTH + 16,
  // Words of a packed weight that stay in a level-2 cache of 2 MB.
  LINEAR_BLOCK = 320 << 10,
};

// SQUARE rows of A from `row` on, of which `rows` are there, by `depth` words along k, zeros past its end.
static void CK(panel_tiles)(const ck_factor *a, size_t row, size_t rows, size_t k, size_t first, size_t depth,
                             WORD *panel, size_t panel_stride) {
  size_t numbers = CK_WORDS(numbers)(k, first, depth), words = (numbers + 1) / 2;
  if (!a->is_transposed) {
    for (size_t r = 0; r < rows; r++) {
      WORD *to = panel + r * panel_stride;
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
      ck_transpose((const float *)square, LANES, (float *)panel + r * panel_stride + p, panel_stride);
    }
  }
}

// A square of C that is written in part, scaled, or added to in another measure than one goes through a copy.
static void CK(square_apart)(size_t rows, size_t width, size_t depth, const WORD *a, const WORD *b, float *c, size_t c_stride,
                             float alpha, float beta) {
  float square[SQUARE * SQUARE] __attribute__((aligned(64)));
  int adds_in_place = alpha == 1 && beta == 1;
  if (adds_in_place)
    for (size_t r = 0; r < rows; r++) memcpy(square + r * SQUARE, c + r * c_stride, width * sizeof(float));
  CK_MULTIPLY_TILES(depth, a, TILE_PANEL_STRIDE, b, square, SQUARE, adds_in_place);
  for (size_t r = 0; r < rows; r++) {
    float *place = c + r * c_stride, *from = square + r * SQUARE;
    if (adds_in_place || (alpha == 1 && beta == 0)) memcpy(place, from, width * sizeof(float));
    else if (beta == 0)
      for (size_t i = 0; i < width; i++) place[i] = alpha * from[i];
    else
      for (size_t i = 0; i < width; i++) place[i] = alpha * from[i] + beta * place[i];
  }
}

// As the product in vector registers.
static void CK(product_tiles)(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                              size_t c_stride, const ck_finish *finish) {
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
        CK(panel_tiles)(&a, i, rows, k, p, depth, panel, TILE_PANEL_STRIDE);
        for (size_t q = 0; q < width; q += SQUARE) {
          size_t columns = width - q < SQUARE ? width - q : SQUARE;
          float *place = c + i * c_stride + j + q;
          const WORD *packed = block + q / SQUARE * (depth * SQUARE + PANEL_GAP);
          if (rows == SQUARE && columns == SQUARE && alpha == 1 && (keep == 0 || keep == 1)) {
            CK_MULTIPLY_TILES(depth, panel, TILE_PANEL_STRIDE, packed, place, c_stride, keep == 1);
          } else {
            CK(square_apart)(rows, columns, depth, panel, packed, place, c_stride, alpha, keep);
          }
        }
        if (finish && p + left == words) CK(finish)(finish, i, rows, j, width, c + i * c_stride + j, c_stride);
      }
    }
  }
  CK_END_TILES;
}

// Words of a panel of SQUARE rows as deep as k. Rows lie a cache line more than their size apart: else they share cache sets.
CK_INLINE size_t CK(row_words)(size_t k) { return (CK_WORDS(panel_words)(k) - PANEL_GAP) / SQUARE + 16; }

// y = x W^T, W packed whole. A square of y is summed over all of k in the tiles and finished before it is written: from a level-2
// cache tiles are read nearly as fast as they are multiplied, while y may be anywhere. It is finished while the next one is
// multiplied: what tiles have just stored cannot be read for a while. x and y are f32 or bf16.
static void CK(linear_tiles)(size_t m, size_t n, size_t k, const void *x, size_t x_stride, int x_is_bf16, const WORD *packed,
                             float beta, const ck_finish *finish, void *y, size_t y_stride, int y_is_bf16, WORD *panel) {
  size_t gap = CK_WORDS(panel_words)(k), depth = (gap - PANEL_GAP) / SQUARE;
  ck_factor a = {.values = x, .stride = x_stride, .is_bf16 = x_is_bf16};
  float squares[2][SQUARE * SQUARE] __attribute__((aligned(64)));
  // As many columns as stay in the cache while all rows pass.
  size_t most = LINEAR_BLOCK / gap * SQUARE, block = ck_even(n, most > SQUARE ? most : SQUARE, SQUARE);
  CK_BEGIN_TILES;
  for (size_t first = 0; first < n; first += block) {
    size_t end = n - first < block ? n : first + block;
    for (size_t i = 0; i < m; i += SQUARE) {
      size_t rows = m - i < SQUARE ? m - i : SQUARE, left_stride = CK(row_words)(k);
      const WORD *left = panel;
      if (x_is_bf16 && rows == SQUARE && k == 2 * depth) {
        // As it lies.
        left = (const WORD *)((const uint16_t *)x + i * x_stride);
        left_stride = x_stride / 2;
      } else {
        CK(panel_tiles)(&a, i, rows, k, 0, depth, panel, left_stride);
      }
      for (size_t j = first; j < end + SQUARE; j += SQUARE) {
        if (j < end)
          CK_MULTIPLY_TILES(depth, left, left_stride, packed + j / SQUARE * gap, squares[j / SQUARE % 2], SQUARE, 0);
        if (j == first) continue;
        size_t done = j - SQUARE, columns = end - done < SQUARE ? end - done : SQUARE;
        CK(finish_square)(finish, squares[done / SQUARE % 2], rows, columns, i, done, beta, y, y_stride, y_is_bf16);
      }
    }
  }
  CK_END_TILES;
}

// CK(attention) for factors rounded to bf16. Probabilities go to the second product without their sum, by which its rows are divided.
static void CK(attention_tiles)(const ck_attention_task *task) {
  const ck_attention_task t = *task;
  size_t key_gap = CK_WORDS(panel_words)(t.width), value_gap = CK_WORDS(panel_words)(t.length);
  size_t query_row = CK(row_words)(t.width), row = CK(row_words)(t.length);
  size_t panels = (t.length + SQUARE - 1) / SQUARE, wide = panels * SQUARE + 16;
  size_t value_panels = (t.width + SQUARE - 1) / SQUARE;
  WORD *keys = ck_scratch(4 * (panels * key_gap + value_panels * value_gap + SQUARE * (query_row + row + wide)));
  WORD *values = keys + panels * key_gap, *query = values + value_panels * value_gap;
  WORD *weights = query + SQUARE * query_row;
  float *scores = (float *)(weights + SQUARE * row), inverse[SQUARE];
  float square[SQUARE * SQUARE] __attribute__((aligned(64)));
  CK_BEGIN_TILES;
  for (size_t head = 0; head < t.heads; head++) {
    if (head % t.group == 0) {
      size_t shared = head / t.group * t.head_stride;
      ck_factor k = {.values = t.k + shared, .stride = t.k_stride, .is_transposed = 1};
      ck_factor v = {.values = t.v + shared, .stride = t.v_stride};
      CK_WORDS(pack)(&k, t.width, 0, (key_gap - PANEL_GAP) / SQUARE, 0, t.length, 1, keys);
      CK_WORDS(pack)(&v, t.length, 0, (value_gap - PANEL_GAP) / SQUARE, 0, t.width, 1, values);
    }
    ck_factor q = {.values = t.q + head * t.head_stride, .stride = t.q_stride};
    for (size_t first = 0; first < t.length; first += SQUARE) {
      size_t rows = t.length - first < SQUARE ? t.length - first : SQUARE;
      size_t seen = t.is_causal ? first + rows : t.length, columns = (seen + SQUARE - 1) / SQUARE * SQUARE;
      size_t depth = (columns / 2 + TILE_DEPTH - 1) / TILE_DEPTH * TILE_DEPTH;
      CK(panel_tiles)(&q, first, rows, t.width, 0, query_row - 16, query, query_row);
      for (size_t j = 0; j < columns; j += SQUARE)
        CK_MULTIPLY_TILES(query_row - 16, query, query_row, keys + j / SQUARE * key_gap, scores + j, wide, 0);
      for (size_t r = 0; r < rows; r++) {
        size_t kept = t.is_causal ? first + r + 1 : seen;
        ck_half *to = (ck_half *)(weights + r * row);
        inverse[r] = 1 / CK(exp_row)(scores + r * wide, t.scale, kept, columns);
        CK_ROUND_RUN(scores + r * wide, columns, to);
        memset(to + kept, 0, (2 * depth - kept) * sizeof *to);
      }
      float *out = t.out + first * t.out_stride + head * t.width;
      for (size_t j = 0; j < t.width; j += SQUARE) {
        size_t width = t.width - j < SQUARE ? t.width - j : SQUARE;
        CK_MULTIPLY_TILES(depth, weights, row, values + j / SQUARE * value_gap, square, SQUARE, 0);
        for (size_t r = 0; r < rows; r++)
          for (size_t x = 0; x < width; x++) out[r * t.out_stride + j + x] = square[r * SQUARE + x] * inverse[r];
      }
    }
  }
  CK_END_TILES;
}

#undef WORD
#undef WORD_NUMBERS
#undef CK_WORDS
#undef CK_MULTIPLY_ADD
