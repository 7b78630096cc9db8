// Rounding to bf16 by the processor; numbers below 2^-126 become zero, as which its products take them anyway.

static inline __attribute__((always_inline)) void round_run(const float *from, size_t count, uint16_t *to) {
  size_t i = 0;
  for (; i + 32 <= count; i += 32)
    _mm512_storeu_si512(to + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i)));
  for (; i < count; i += 16) {
    __mmask16 there = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : (__mmask16)0xffff;
    __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, from + i));
    _mm256_mask_storeu_epi16(to + i, there, (__m256i)rounded);
  }
}

static inline __attribute__((always_inline)) void round_pairs(const float *low, const float *high, size_t count, uint32_t *to) {
  for (size_t i = 0; i < count; i += 16) {
    __mmask16 there = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : (__mmask16)0xffff;
    __m512i first = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, low + i)));
    __m512i second = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, high + i)));
    _mm512_mask_storeu_epi32(to + i, there, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
  }
}

#define CK_ROUND_RUN(from, count, to) round_run(from, count, to)
#define CK_ROUND_PAIRS(low, high, count, to) round_pairs(low, high, count, to)
