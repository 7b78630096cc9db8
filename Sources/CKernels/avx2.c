#include "dispatch.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#define CK(name) name##_avx2
#define CK_TILE_ROWS 6
enum { LANES = 8, TILE_ROWS = CK_TILE_ROWS };
typedef float V __attribute__((vector_size(32)));
typedef float UNALIGNED_V __attribute__((vector_size(32), aligned(4)));
#include "bodies/scalar.h"

// Three rounds that interleave ever larger parts of the rows.
CK_INLINE void ck_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
  __m256 r[8], t[8];
  CK_UNROLL
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + i * from_stride);
  CK_UNROLL
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  CK_UNROLL
  for (int i = 0; i < 8; i += 4) {
    for (int half = 0; half < 2; half++) {
      __m256d a = (__m256d)t[i + half], b = (__m256d)t[i + half + 2];
      r[i + 2 * half] = (__m256)_mm256_unpacklo_pd(a, b);
      r[i + 2 * half + 1] = (__m256)_mm256_unpackhi_pd(a, b);
    }
  }
  CK_UNROLL
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

#include "bodies/elementwise.h"
#include "bodies/rows.h"
#include "bodies/product.h"
const ck_kernels ck_kernels_avx2 = CK_TABLE("avx2");
#pragma clang attribute pop
#endif
