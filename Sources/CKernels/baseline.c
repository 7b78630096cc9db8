#include "dispatch.h"

// What every processor of the architecture can do.
#define CK(name) name##_baseline
#define CK_TILE_ROWS 4
enum { LANES = 4, TILE_ROWS = CK_TILE_ROWS };
typedef float V __attribute__((vector_size(16)));
typedef float UNALIGNED_V __attribute__((vector_size(16), aligned(4)));
#include "bodies/scalar.h"

CK_INLINE void ck_transpose(const float *from, size_t from_stride, float *to, size_t to_stride) {
  for (int i = 0; i < LANES; i++)
    for (int j = 0; j < LANES; j++) to[j * to_stride + i] = from[i * from_stride + j];
}

#include "bodies/elementwise.h"
#include "bodies/rows.h"
#include "bodies/product.h"
const ck_kernels ck_kernels_baseline = CK_TABLE("baseline");
