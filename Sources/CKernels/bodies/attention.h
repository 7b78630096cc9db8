// Scaled dot-product attention of one sequence: a head's keys and values are packed once and serve all its blocks of queries.

enum {
  // Queries whose probabilities exist at a time.
  ATTENTION_ROWS = 4 * TILE_ROWS,
};

CK_INLINE size_t CK(whole_panels)(size_t n) { return (n + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS; }

static void CK(attention)(const ck_attention_task *task) {
#if defined(CK_MULTIPLY_TILES)
  if (task->rounds) {
    CK(attention_tiles)(task);
    return;
  }
#endif
  const ck_attention_task t = *task;
  size_t key_words = CK(packed_words)(t.rounds, t.length, t.width);
  size_t value_words = CK(packed_words)(t.rounds, t.width, t.length);
  uint32_t *keys = ck_scratch(4 * (key_words + value_words + ATTENTION_ROWS * CK(whole_panels)(t.length)));
  uint32_t *values = keys + key_words;
  float *scores = (float *)(values + value_words);
  size_t key_gap = CK(panel_gap)(t.rounds, t.width), value_gap = CK(panel_gap)(t.rounds, t.length);
  for (size_t head = 0; head < t.heads; head++) {
    size_t shared = head / t.group * t.head_stride;
    if (head % t.group == 0) {
      ck_factor k = {.values = t.k + shared, .stride = t.k_stride, .is_transposed = 1};
      ck_factor v = {.values = t.v + shared, .stride = t.v_stride};
      CK(pack_whole)(t.rounds, t.length, t.width, k, keys);
      CK(pack_whole)(t.rounds, t.width, t.length, v, values);
    }
    for (size_t first = 0; first < t.length; first += ATTENTION_ROWS) {
      size_t rows = t.length - first < ATTENTION_ROWS ? t.length - first : ATTENTION_ROWS;
      size_t seen = t.is_causal ? first + rows : t.length, columns = CK(whole_panels)(seen);
      ck_factor q = {.values = t.q + first * t.q_stride + head * t.head_stride, .stride = t.q_stride};
      ck_factor transposed = {.is_transposed = 1}, p = {.values = scores, .stride = columns}, plain = {0};
      // The columns behind the last key are zeros of its panel, or keys that are not seen.
      CK(multiply)(rows, columns, t.width, 1, q, transposed, keys, key_gap, 0, scores, columns, t.rounds, NULL);
      for (size_t r = 0; r < rows; r++) {
        size_t kept = t.is_causal ? first + r + 1 : seen;
        float *weights = scores + r * columns;
        CK(scale)(weights, 1 / CK(exp_row)(weights, t.scale, kept, columns), weights, kept);
        memset(weights + kept, 0, (columns - kept) * sizeof *weights);
      }
      CK(multiply)(rows, t.width, seen, 1, p, plain, values, value_gap, 0,
                   t.out + first * t.out_stride + head * t.width, t.out_stride, t.rounds, NULL);
    }
  }
}
