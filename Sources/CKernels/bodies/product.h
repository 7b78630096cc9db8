// Products by each kind of word that the instruction set multiplies, their factors packed on the way or beforehand.

#include "finish.h"
#include "words_f32.h"
#include "gemm.h"
#if defined(CK_MULTIPLY_TILES)
#include "words_bf16.h"
#include "gemm_tiles.h"
#elif defined(CK_MULTIPLY_PAIRS)
#include "words_bf16.h"
#include "gemm.h"
#endif
#include "gemm_int8.h"

// Words from one panel of a packed factor to the next.
CK_INLINE size_t CK(panel_gap)(int rounds, size_t k) {
#if defined(CK_MULTIPLY_TILES) || defined(CK_MULTIPLY_PAIRS)
  if (rounds) return CK(panel_words_pairs)(k);
#endif
  (void)rounds;
  return CK(panel_words)(k);
}

CK_INLINE size_t CK(packed_words)(int rounds, size_t n, size_t k) {
  return (n + TILE_COLUMNS - 1) / TILE_COLUMNS * CK(panel_gap)(rounds, k);
}

// A factor of n columns and k rows as one block.
static void CK(pack_whole)(int rounds, size_t n, size_t k, ck_factor b, uint32_t *out) {
  size_t gap = CK(panel_gap)(rounds, k), depth = (gap - PANEL_GAP) / TILE_COLUMNS;
#if defined(CK_MULTIPLY_TILES) || defined(CK_MULTIPLY_PAIRS)
  if (rounds) {
    CK(pack_pairs)(&b, k, 0, depth, 0, n, 1, out);
    return;
  }
#endif
  CK(pack)(&b, k, 0, depth, 0, n, rounds, (float *)out);
}

static void CK(multiply)(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, const uint32_t *packed,
                         size_t gap, float beta, float *c, size_t c_stride, int rounds, const ck_finish *finish) {
#if defined(CK_MULTIPLY_TILES)
  if (rounds) {
    CK(product_tiles)(m, n, k, alpha, a, b, beta, c, c_stride, finish);
    return;
  }
#elif defined(CK_MULTIPLY_PAIRS)
  if (rounds) {
    CK(product_pairs)(m, n, k, alpha, a, b, packed, gap, beta, c, c_stride, rounds, finish);
    return;
  }
#endif
  CK(product)(m, n, k, alpha, a, b, (const float *)packed, gap, beta, c, c_stride, rounds, finish);
}

static void CK(gemm)(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                     size_t c_stride, int rounds, const ck_finish *finish) {
  CK(multiply)(m, n, k, alpha, a, b, NULL, 0, beta, c, c_stride, rounds, finish);
}

static size_t CK(packed_bytes)(int numbers, size_t n, size_t k) {
  return numbers == CK_INT8 ? CK(packed_bytes_int8)(n, k) : 4 * CK(packed_words)(numbers == CK_BF16, n, k);
}

static void CK(pack_weight)(int numbers, size_t n, size_t k, ck_factor w, void *packed) {
  if (numbers == CK_INT8) CK(pack_int8)(n, k, w, packed);
  else CK(pack_whole)(numbers == CK_BF16, n, k, w, packed);
}

// What a packed weight is multiplied with: bytes of memory beside the factors.
CK_INLINE size_t CK(panel_bytes)(int numbers, size_t k) {
#if defined(CK_MULTIPLY_TILES)
  if (numbers == CK_BF16) return 4 * SQUARE * CK(row_words)(k);
#endif
  return numbers == CK_INT8 ? CK(panel_bytes_int8)(k) : 0;
}

static void CK(linear_by)(int numbers, size_t m, size_t n, size_t k, const float *x, size_t x_stride, const void *packed,
                          float beta, const ck_finish *finish, float *y, size_t y_stride, void *panel) {
  if (numbers == CK_INT8) {
    CK(linear_int8)(m, n, k, x, x_stride, packed, beta, finish, y, y_stride, panel);
    return;
  }
  int rounds = numbers == CK_BF16;
#if defined(CK_MULTIPLY_TILES)
  if (rounds) {
    CK(linear_tiles)(m, n, k, x, x_stride, 0, packed, beta, finish, y, y_stride, 0, panel);
    return;
  }
#endif
  ck_factor a = {.values = x, .stride = x_stride}, b = {.is_transposed = 1};
  CK(multiply)(m, n, k, 1, a, b, packed, CK(panel_gap)(rounds, k), beta, y, y_stride, rounds, finish);
}

static void CK(linear)(int numbers, size_t m, size_t n, size_t k, const float *x, size_t x_stride, const void *packed,
                       float beta, const ck_finish *finish, float *y, size_t y_stride) {
  void *panel = ck_scratch(CK(panel_bytes)(numbers, k));
  CK(linear_by)(numbers, m, n, k, x, x_stride, packed, beta, finish, y, y_stride, panel);
}

// Two layers, some rows at a time: what is between them stays in the cache.
static void CK(feed_forward)(const ck_feed_forward_task *task) {
  enum { ROWS = 512 };
  const ck_feed_forward_task t = *task;
  size_t panel_bytes = CK(panel_bytes)(t.numbers, t.hidden > t.width ? t.hidden : t.width);
  char *panel = ck_scratch(panel_bytes + 4 * (t.rows < ROWS ? t.rows : ROWS) * t.hidden);
  void *between = panel + panel_bytes;
  ck_finish up = {.bias = t.up_bias, .gelu = 1}, down = {.bias = t.down_bias, .residual_stride = t.residual_stride};
  for (size_t i = 0; i < t.rows; i += ROWS) {
    size_t rows = t.rows - i < ROWS ? t.rows - i : ROWS;
    const float *x = t.x + i * t.x_stride;
    float *y = t.y + i * t.y_stride;
    if (t.residual) down.residual = t.residual + i * t.residual_stride;
#if defined(CK_MULTIPLY_TILES)
    if (t.numbers == CK_BF16) {
      CK(linear_tiles)(rows, t.hidden, t.width, x, t.x_stride, 0, t.up, 0, &up, between, t.hidden, 1, (uint32_t *)panel);
      CK(linear_tiles)(rows, t.width, t.hidden, between, t.hidden, 1, t.down, 0, &down, y, t.y_stride, 0, (uint32_t *)panel);
      continue;
    }
#endif
    CK(linear_by)(t.numbers, rows, t.hidden, t.width, x, t.x_stride, t.up, 0, &up, between, t.hidden, panel);
    CK(linear_by)(t.numbers, rows, t.width, t.hidden, between, t.hidden, t.down, 0, &down, y, t.y_stride, panel);
  }
}

#include "attention.h"
