#include "dispatch.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,f16c,lzcnt,popcnt,avx512bf16,avx512vnni"))), apply_to = function)
#define CK(name) name##_avx512bf16
#include "bodies/round_bf16.h"
#define CK_UNROLL _Pragma("clang loop unroll(full)")
// Both products of a pair in one instruction, in f32.
#define CK_MULTIPLY_PAIRS(sum, x, packed) \
  (V)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)_mm512_set1_epi32((int)(x)), (__m512bh)(packed))

// The instruction multiplies unsigned by signed: 128 is added to each activation, and 128 times the column's sum taken away.
static void multiply_quads(size_t depth, const int8_t *a, size_t a_stride, const uint32_t *b, int32_t *sums) {
  enum { ROWS = 8 };
  const __m512i shift = _mm512_set1_epi32((int)0x80808080u);
  __m512i base[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (size_t p = 0; p < depth; p++)
    for (int half = 0; half < 2; half++)
      base[half] = _mm512_dpbusd_epi32(base[half], shift, _mm512_loadu_si512(b + 32 * p + 16 * half));
  for (size_t row = 0; row < 32; row += ROWS) {
    __m512i sum[ROWS][2];
    CK_UNROLL
    for (int r = 0; r < ROWS; r++) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
    for (size_t p = 0; p < depth; p++) {
      __m512i left = _mm512_loadu_si512(b + 32 * p), right = _mm512_loadu_si512(b + 32 * p + 16);
      CK_UNROLL
      for (int r = 0; r < ROWS; r++) {
        int32_t quad;
        memcpy(&quad, a + (row + r) * a_stride + 4 * p, sizeof quad);
        __m512i x = _mm512_xor_si512(_mm512_set1_epi32(quad), shift);
        sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], x, left);
        sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], x, right);
      }
    }
    CK_UNROLL
    for (int r = 0; r < ROWS; r++)
      for (int half = 0; half < 2; half++)
        _mm512_storeu_si512(sums + (row + r) * 32 + 16 * half, _mm512_sub_epi32(sum[r][half], base[half]));
  }
}
#define CK_MULTIPLY_QUADS(depth, a, a_stride, b, sums) multiply_quads(depth, a, a_stride, b, sums)
#include "bodies/avx512.h"
const ck_kernels ck_kernels_avx512bf16 = CK_TABLE("avx512bf16");
#pragma clang attribute pop
#endif
