// A packed word of the matrix product is one f32, rounded to bf16 where that is asked for.

#define WORD float
#define WORD_NUMBERS 1
#define CK_WORDS(name) CK(name)
#define CK_MULTIPLY_ADD(sum, x, packed) ((sum) + (x) * (packed))

// `count` numbers of a factor's row, from `first` on.
CK_INLINE void CK(along)(const ck_factor *factor, size_t row, size_t first, size_t count, int rounds, float *out) {
  if (factor->is_bf16) {
    const uint16_t *from = (const uint16_t *)factor->values + row * factor->stride + first;
    for (size_t i = 0; i < count; i++) out[i] = ck_from_bf16(from[i]);
  } else {
    const float *from = (const float *)factor->values + row * factor->stride + first;
    if (rounds)
      for (size_t i = 0; i < count; i++) out[i] = ck_round_bf16(from[i]);
    else
      for (size_t i = 0; i < count; i++) out[i] = from[i];
  }
}

// `width` columns of the factor's row `p`, a number along k; k rows in all.
CK_INLINE void CK(across)(const ck_factor *factor, size_t k, size_t p, size_t column, size_t width, int rounds,
                          float *out) {
  (void)k;
  CK(along)(factor, p, column, width, rounds, out);
}

// Where words lie as they are wanted, from the row and word on, rows `stride` words apart; NULL if they do not.
CK_INLINE const float *CK(in_place)(const ck_factor *factor, size_t row, size_t word) {
  return factor->is_bf16 ? NULL : (const float *)factor->values + row * factor->stride + word;
}
