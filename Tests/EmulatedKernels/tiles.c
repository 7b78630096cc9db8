#include "emulated.h"

CK_INLINE float half(uint32_t word, int odd) {
  union { uint32_t u; float f; } bits = {odd ? word & 0xffff0000u : word << 16};
  return bits.f;
}

// TDPBF16PS of Intel's manual: 16 pairs, the even and the odd numbers' products summed apart, then added to C.
static void multiply_tiles(size_t depth, const uint32_t *a, size_t a_stride, const uint32_t *b, float *c, size_t c_stride,
                           int adds) {
#pragma clang fp contract(fast) reassociate(off)
  for (size_t r = 0; r < 32; r++)
    for (size_t i = 0; i < 32; i++) {
      if (!adds) c[r * c_stride + i] = 0;
      for (size_t p = 0; p < depth; p += 16) {
        float even = 0, odd = 0;
        for (size_t q = p; q < p + 16; q++) {
          even += half(a[r * a_stride + q], 0) * half(b[32 * q + i], 0);
          odd += half(a[r * a_stride + q], 1) * half(b[32 * q + i], 1);
        }
        c[r * c_stride + i] += even + odd;
      }
    }
}

#define CK_BEGIN_TILES
#define CK_END_TILES
#define CK_MULTIPLY_TILES(depth, a, a_stride, b, c, c_stride, adds) multiply_tiles(depth, a, a_stride, b, c, c_stride, adds)
#include "../../Sources/CKernels/bodies/product.h"

void emulated_tile_gemm(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                        size_t c_stride) {
  gemm_emulated(m, n, k, alpha, a, b, beta, c, c_stride, 1, NULL);
}

size_t emulated_packed_bytes(int numbers, size_t n, size_t k) { return packed_bytes_emulated(numbers, n, k); }

void emulated_pack_weight(int numbers, size_t n, size_t k, ck_factor w, void *packed) {
  pack_weight_emulated(numbers, n, k, w, packed);
}

void emulated_linear(int numbers, size_t m, size_t n, size_t k, const float *x, size_t x_stride, const void *packed,
                     float beta, const ck_finish *finish, float *y, size_t y_stride) {
  linear_emulated(numbers, m, n, k, x, x_stride, packed, beta, finish, y, y_stride);
}
