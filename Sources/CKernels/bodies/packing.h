// How a block of B lies where the product reads it, included by each way to multiply. The instruction set has defined
//   V, LANES        a vector of floats and its width
//   ck_transpose    LANES x LANES words, transposed
// and words_f32.h or words_bf16.h what is packed. A word has 32 bits and holds one number or two that follow each other
// along k; all sizes of packed memory are in words. Transposing and widening are done on the way, so that weights are
// never kept twice and may be bf16 in a mapped file.

#ifndef CK_GEMM_SIZES
#define CK_GEMM_SIZES
enum {
  TILE_COLUMNS = 2 * LANES,
  // A block of B fills most of a level-2 cache. It is long where B is contiguous, so that memory is read in long runs:
  // LONG x SHORT for a transposed B (k is contiguous), SHORT x LONG otherwise.
  BLOCK_LONG = 640,
  BLOCK_SHORT = 256,
  // Rows of A's panel, and panels of B, lie a cache line more than their size apart: else they share cache sets.
  PANEL_STRIDE = BLOCK_LONG + 16,
  PANEL_GAP = 16,
  MAX_TILE_ROWS = 16,
};
#endif

// Words of a transposed or plain B of n columns packed whole, and those from one of its panels to the next. Its depth is filled
// up with zeros to whole tiles of 16 words.
CK_INLINE size_t CK_WORDS(panel_words)(size_t k) {
  size_t words = (k + WORD_NUMBERS - 1) / WORD_NUMBERS;
  return (words + 15) / 16 * 16 * TILE_COLUMNS + PANEL_GAP;
}

// How many numbers of k the words first ... first + count hold; the last word may lack its second, and words past k have none.
CK_INLINE size_t CK_WORDS(numbers)(size_t k, size_t first, size_t count) {
  size_t left = first * WORD_NUMBERS < k ? k - first * WORD_NUMBERS : 0;
  return left < count * WORD_NUMBERS ? left : count * WORD_NUMBERS;
}

// `width` columns of a transposed B, from `column` on, into a packed panel.
static void CK_WORDS(pack_transposed)(const ck_factor *b, size_t column, size_t width, size_t k, size_t first,
                                      size_t depth, int rounds, WORD *out) {
  WORD square[LANES * LANES] __attribute__((aligned(64)));
  for (size_t p = 0; p < depth; p += LANES) {
    size_t count = depth - p < LANES ? depth - p : LANES;
    size_t numbers = CK_WORDS(numbers)(k, first + p, count);
    for (size_t i = 0; i < TILE_COLUMNS; i += LANES) {
      size_t rows = i >= width ? 0 : width - i < LANES ? width - i : LANES;
      int is_whole = rows == LANES && numbers == LANES * WORD_NUMBERS;
      const WORD *as_it_lies = is_whole ? CK_WORDS(in_place)(b, column + i, first + p) : NULL;
      if (as_it_lies && !rounds) {
        // A row's next cache lines but three: runs are too short for the processor to foresee.
        for (size_t r = 0; r < LANES; r++) __builtin_prefetch(as_it_lies + r * b->stride + 64);
        ck_transpose((const float *)as_it_lies, b->stride, (float *)out + p * TILE_COLUMNS + i, TILE_COLUMNS);
        continue;
      }
      if (!is_whole) memset(square, 0, sizeof square);
      for (size_t r = 0; r < rows; r++)
        CK_WORDS(along)(b, column + i + r, (first + p) * WORD_NUMBERS, numbers, rounds, square + r * LANES);
      if (count == LANES) {
        ck_transpose((const float *)square, LANES, (float *)out + p * TILE_COLUMNS + i, TILE_COLUMNS);
      } else {
        for (size_t q = 0; q < count; q++)
          for (size_t r = 0; r < LANES; r++) out[(p + q) * TILE_COLUMNS + i + r] = square[r * LANES + q];
      }
    }
  }
}

// A block of B, depth x width, into panels of TILE_COLUMNS columns, the last one filled up with zeros; so are rows past k.
static void CK_WORDS(pack)(const ck_factor *b, size_t k, size_t first, size_t depth, size_t column, size_t width,
                           int rounds, WORD *out) {
  size_t whole = width / TILE_COLUMNS * TILE_COLUMNS, panel = depth * TILE_COLUMNS + PANEL_GAP;
  if (b->is_transposed) {
    for (size_t j = 0; j < width; j += TILE_COLUMNS) {
      size_t count = width - j < TILE_COLUMNS ? width - j : TILE_COLUMNS;
      CK_WORDS(pack_transposed)(b, column + j, count, k, first, depth, rounds, out + j / TILE_COLUMNS * panel);
    }
    return;
  }
  if (whole < width) memset(out + whole / TILE_COLUMNS * panel, 0, panel * sizeof(WORD));
  // Row after row, as they lie in memory.
  for (size_t p = 0; p < depth; p++) {
    WORD *to = out + p * TILE_COLUMNS;
    size_t row = (first + p) * WORD_NUMBERS, j = 0;
    if (row >= k) {
      for (; j < width; j += TILE_COLUMNS, to += panel) memset(to, 0, TILE_COLUMNS * sizeof(WORD));
      continue;
    }
    for (; j < whole; j += TILE_COLUMNS, to += panel)
      CK_WORDS(across)(b, k, row, column + j, TILE_COLUMNS, rounds, to);
    if (j < width) CK_WORDS(across)(b, k, row, column + j, width - j, rounds, to);
  }
}
