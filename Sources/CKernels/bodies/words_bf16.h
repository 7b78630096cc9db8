// A packed word of the matrix product is two bf16 that follow each other along k, the first in the low half. The
// instruction set defines CK_MULTIPLY_PAIRS(sum, x, packed): sum + the f32 products of the high halves and the low ones;
// it may have instructions for CK_ROUND_RUN and CK_ROUND_PAIRS (scalar.h).
// Where k is odd the last word's high half is zero.

#ifndef CK_HALF
#define CK_HALF
typedef uint16_t ck_half __attribute__((may_alias));
#endif

#define WORD uint32_t
#define WORD_NUMBERS 2
#define CK_WORDS(name) CK(name##_pairs)
#define CK_MULTIPLY_ADD(sum, x, packed) CK_MULTIPLY_PAIRS(sum, x, packed)

// `count` numbers of a factor's row, from `first` on.
CK_INLINE void CK(along_pairs)(const ck_factor *factor, size_t row, size_t first, size_t count, int rounds,
                               uint32_t *out) {
  (void)rounds;
  ck_half *halves = (ck_half *)out;
  if (factor->is_bf16) {
    memcpy(halves, (const uint16_t *)factor->values + row * factor->stride + first, count * sizeof(uint16_t));
  } else {
    const float *from = (const float *)factor->values + row * factor->stride + first;
    // What follows soon: where rows take turns, their runs are too short for the processor to foresee.
    __builtin_prefetch(from + 96);
    __builtin_prefetch(from + 112);
    CK_ROUND_RUN(from, count, halves);
  }
  if (count % 2) halves[count] = 0;
}

// `width` columns of the factor's rows p and p + 1, numbers along k; k rows in all.
CK_INLINE void CK(across_pairs)(const ck_factor *factor, size_t k, size_t p, size_t column, size_t width, int rounds,
                                uint32_t *out) {
  (void)rounds;
  size_t low = p * factor->stride + column, high = p + 1 < k ? low + factor->stride : low;
  if (factor->is_bf16) {
    const uint16_t *from = factor->values;
    for (size_t i = 0; i < width; i++) out[i] = from[low + i] | (uint32_t)from[high + i] << 16;
  } else {
    const float *from = factor->values;
    CK_ROUND_PAIRS(from + low, from + high, width, out);
  }
  if (p + 1 >= k)
    for (size_t i = 0; i < width; i++) out[i] &= 0xffff;
}

// No matrix is kept as words; one of bf16 whose rows are even in length would be, but reading it is not what takes time.
CK_INLINE const uint32_t *CK(in_place_pairs)(const ck_factor *factor, size_t row, size_t word) {
  (void)factor, (void)row, (void)word;
  return NULL;
}
