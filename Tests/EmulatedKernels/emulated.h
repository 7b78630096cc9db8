// The tile of the AVX-512 kernels without their instructions.

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

#include "../../Sources/CKernels/bodies/elementwise.h"
#include "../../Sources/CKernels/bodies/rows.h"
