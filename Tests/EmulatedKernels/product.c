#include "emulated.h"

typedef uint32_t BITS __attribute__((vector_size(64)));

// VDPBF16PS of Intel's manual: the odd elements' product is added first.
CK_INLINE V multiply_pairs(V sum, uint32_t x, V packed) {
  BITS pairs = (BITS)packed;
  union { uint32_t u; float f; } high = {x & 0xffff0000u}, low = {x << 16};
  sum += high.f * (V)(pairs & 0xffff0000u);
  sum += low.f * (V)(pairs << 16);
  return sum;
}
#define CK_MULTIPLY_PAIRS(sum, x, packed) multiply_pairs(sum, x, packed)
#include "../../Sources/CKernels/bodies/product.h"

void emulated_bf16_gemm(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                        size_t c_stride) {
  gemm_emulated(m, n, k, alpha, a, b, beta, c, c_stride, 1, NULL);
}
