// The matrix product for each kind of word the instruction set multiplies.

#include "words_f32.h"
#include "gemm.h"
#if defined(CK_MULTIPLY_TILES)
#include "words_bf16.h"
#include "gemm_tiles.h"
#elif defined(CK_MULTIPLY_PAIRS)
#include "words_bf16.h"
#include "gemm.h"
#endif

#include "gemm_int8.h"

static void CK(gemm)(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                     size_t c_stride, int rounds) {
#if defined(CK_MULTIPLY_TILES)
  if (rounds) {
    CK(product_tiles)(m, n, k, alpha, a, b, beta, c, c_stride);
    return;
  }
#elif defined(CK_MULTIPLY_PAIRS)
  if (rounds) {
    CK(product_pairs)(m, n, k, alpha, a, b, beta, c, c_stride, rounds);
    return;
  }
#endif
  CK(product)(m, n, k, alpha, a, b, beta, c, c_stride, rounds);
}
