#include "EmulatedKernels.h"
#include "../../Sources/CKernels/dispatch.h"

#define CK(name) name##_emulated
#define CK_TILE_ROWS 14
enum { LANES = 16, TILE_ROWS = CK_TILE_ROWS };
typedef float V __attribute__((vector_size(64)));
typedef float UNALIGNED_V __attribute__((vector_size(64), aligned(4)));
#include "../../Sources/CKernels/bodies/scalar.h"

CK_INLINE void ck_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
  for (int i = 0; i < LANES; i++)
    for (int j = 0; j < LANES; j++) memcpy(to + j * to_stride + i, from + i * from_stride + j, sizeof *to);
}

CK_INLINE float half(uint32_t word, int odd) {
  union { uint32_t u; float f; } bits = {odd ? word & 0xffff0000u : word << 16};
  return bits.f;
}

// TDPBF16PS of Intel's manual: 16 pairs, the even and the odd numbers' products summed apart, then added to C.
static void multiply_tiles(size_t depth, const uint32_t *a, size_t a_stride, const uint32_t *b, float *c, size_t c_stride) {
#pragma clang fp contract(fast) reassociate(off)
  for (size_t r = 0; r < 32; r++)
    for (size_t i = 0; i < 32; i++)
      for (size_t p = 0; p < depth; p += 16) {
        float even = 0, odd = 0;
        for (size_t q = p; q < p + 16; q++) {
          even += half(a[r * a_stride + q], 0) * half(b[32 * q + i], 0);
          odd += half(a[r * a_stride + q], 1) * half(b[32 * q + i], 1);
        }
        c[r * c_stride + i] += even + odd;
      }
}

#define CK_BEGIN_TILES
#define CK_END_TILES
#define CK_MULTIPLY_TILES(depth, a, b, c, c_stride) multiply_tiles(depth, a, TILE_PANEL_STRIDE, b, c, c_stride)
#include "../../Sources/CKernels/bodies/product.h"

void emulated_tile_gemm(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                        size_t c_stride) {
  gemm_emulated(m, n, k, alpha, a, b, beta, c, c_stride, 1);
}

void emulated_int8_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_stride, const int8_t *b, size_t b_stride,
                        const float *b_scales, float beta, float *c, size_t c_stride) {
  gemm_int8_emulated(m, n, k, a, a_stride, b, b_stride, b_scales, beta, c, c_stride);
}
