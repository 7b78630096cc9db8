#include "dispatch.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <unistd.h>
#include <sys/syscall.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,f16c,lzcnt,popcnt,avx512bf16,amx-tile,amx-bf16,amx-int8"))), apply_to = function)
#define CK(name) name##_amx
#include "bodies/round_bf16.h"

// Eight tiles of 16 rows of 64 bytes.
static inline void begin_tiles(void) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shape = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    shape.row_bytes[tile] = 64;
    shape.rows[tile] = 16;
  }
  _tile_loadconfig(&shape);
}

static inline __attribute__((always_inline)) void multiply_tiles(size_t depth, const uint32_t *a, size_t a_stride,
                                                                 const uint32_t *b, float *c, size_t c_stride, int adds) {
  size_t a_bytes = 4 * a_stride, b_bytes = 4 * 32, c_bytes = 4 * c_stride;
  if (adds) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, c + 16 * c_stride, c_bytes);
    _tile_loadd(3, c + 16 * c_stride + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (size_t p = 0; p < depth; p += 16, a += 16, b += 16 * 32) {
    _tile_loadd(4, a, a_bytes);
    _tile_loadd(6, b, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 16, b_bytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + 16 * a_stride, a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, c + 16 * c_stride, c_bytes);
  _tile_stored(3, c + 16 * c_stride + 16, c_bytes);
}

static inline __attribute__((always_inline)) void multiply_quads(size_t depth, const int8_t *a, size_t a_stride,
                                                                 const uint32_t *b, int32_t *sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t p = 0; p < depth; p += 16, a += 64, b += 16 * 32) {
    _tile_loadd(4, a, a_stride);
    _tile_loadd(6, b, 4 * 32);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, b + 16, 4 * 32);
    _tile_dpbssd(1, 4, 7);
    _tile_loadd(5, a + 16 * a_stride, a_stride);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_stored(0, sums, 128);
  _tile_stored(1, sums + 16, 128);
  _tile_stored(2, sums + 16 * 32, 128);
  _tile_stored(3, sums + 16 * 32 + 16, 128);
}

#define CK_BEGIN_TILES begin_tiles()
#define CK_END_TILES _tile_release()
#define CK_MULTIPLY_TILES(depth, a, a_stride, b, c, c_stride, adds) multiply_tiles(depth, a, a_stride, b, c, c_stride, adds)
#define CK_MULTIPLY_QUADS(depth, a, a_stride, b, sums) multiply_quads(depth, a, a_stride, b, sums)
#include "bodies/avx512.h"
const ck_kernels ck_kernels_amx = CK_TABLE("amx");
#pragma clang attribute pop

// Linux wants to be asked, once a process and before its threads begin: a tile is much for a thread to keep.
int ck_may_use_amx(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("amx-int8")
         && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#endif
