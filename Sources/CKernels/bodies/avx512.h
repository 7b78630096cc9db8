// Tile and transposition of AVX-512, and every body with them.

#define CK_TILE_ROWS 14
enum { LANES = 16, TILE_ROWS = CK_TILE_ROWS };
typedef float V __attribute__((vector_size(64)));
typedef float UNALIGNED_V __attribute__((vector_size(64), aligned(4)));
#include "scalar.h"
#define CK_EXP_LANES(x) exp_lanes(x)
CK_INLINE V exp_lanes(V x) {
  // The order keeps what is not a number.
  __m512 low = _mm512_max_ps(_mm512_set1_ps(-104.0f), (__m512)x);
  __m512 k = _mm512_roundscale_ps(_mm512_mul_ps(low, _mm512_set1_ps(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT);
  V r = (V)low - (V)k * 0.693145751953125f;
  r = r - (V)k * 1.42860682030941723212e-6f;
  V p = r * (1.0f / 720.0f) + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return (V)_mm512_scalef_ps((__m512)p, k);
}
#define CK_SUM_LANES(v) _mm512_reduce_add_ps((__m512)(v))
#define CK_MAX_LANES(v) _mm512_reduce_max_ps((__m512)(v))

// Four rounds that interleave ever larger parts of the rows.
CK_INLINE void ck_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
  __m512 r[16], t[16];
  CK_UNROLL
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(from + i * from_stride);
  CK_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  CK_UNROLL
  for (int i = 0; i < 16; i += 4) {
    for (int half = 0; half < 2; half++) {
      __m512d a = (__m512d)t[i + half], b = (__m512d)t[i + half + 2];
      r[i + 2 * half] = (__m512)_mm512_unpacklo_pd(a, b);
      r[i + 2 * half + 1] = (__m512)_mm512_unpackhi_pd(a, b);
    }
  }
  CK_UNROLL
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
  }
  CK_UNROLL
  for (int i = 0; i < 8; i++) {
    _mm512_storeu_ps(to + i * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
    _mm512_storeu_ps(to + (i + 8) * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
  }
}

#include "elementwise.h"
#include "rows.h"
#include "product.h"
