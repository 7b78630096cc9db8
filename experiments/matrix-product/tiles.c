// What AMX multiplies by itself, one thread: the instruction alone; two tiles of each factor for four of the product, with the right
// factor in the level-1 cache, in the level-2 cache and beyond; and with both factors in the level-2 cache, over 1536 numbers of k.
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static uint16_t *numbers(size_t bytes) {
  uint16_t *memory = aligned_alloc(2 << 20, bytes);
  madvise(memory, bytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < bytes / 2; i++) memory[i] = (uint16_t)(0x3f00 + (rand() & 0x80ff));
  return memory;
}

// C[32 x 32] = A B over `steps` times 32 numbers; rows of A a_stride bytes apart.
static inline void square(size_t steps, const char *a, size_t a_stride, const char *b, float *c) {
  _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
  for (size_t p = 0; p < steps; p++, a += 64, b += 2048) {
    _tile_loadd(4, a, a_stride), _tile_loadd(6, b, 128), _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 64, 128), _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + 16 * a_stride, a_stride), _tile_dpbf16ps(2, 5, 6), _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, 128), _tile_stored(1, c + 16, 128), _tile_stored(2, c + 512, 128), _tile_stored(3, c + 528, 128);
}

int main(void) {
  syscall(SYS_arch_prctl, 0x1023, 18);
  struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shape = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) shape.row_bytes[tile] = 64, shape.rows[tile] = 16;
  _tile_loadconfig(&shape);
  enum { STEP = 131072, DEEP = 48 };
  size_t size = 16 << 20;
  char *a = (char *)numbers(2 << 20), *b = (char *)numbers(size);
  float *c = aligned_alloc(4096, 4096);
  double start = seconds();
  for (int i = 0; i < 2000000; i++)
    _tile_dpbf16ps(0, 4, 6), _tile_dpbf16ps(1, 4, 7), _tile_dpbf16ps(2, 5, 6), _tile_dpbf16ps(3, 5, 7);
  printf("the instruction alone: %.0f GFLOP/s\n", 2e6 * STEP / (seconds() - start) / 1e9);
  for (size_t bytes = 24 << 10; bytes <= 8 << 20; bytes = bytes < 1 << 20 ? 1 << 20 : 8 * bytes) {
    size_t steps = 12, times = 100000, at = 0;
    start = seconds();
    for (size_t i = 0; i < times; i++, at = at + 2 * steps * 2048 > bytes ? 0 : at + steps * 2048)
      square(steps, a, 832, b + at, c);
    printf("B of %zu KB: %.0f GFLOP/s\n", bytes >> 10, (double)times * steps * STEP / (seconds() - start) / 1e9);
  }
  start = seconds();
  int times = 40;
  for (int i = 0; i < times; i++)
    for (int row = 0; row < 8; row++)
      for (int panel = 0; panel < 12; panel++) square(DEEP, a + row * 32 * 3072, 3072, b + panel * DEEP * 2048, c);
  printf("256 x 384 x 1536, A as it lies: %.0f GFLOP/s\n", times * 96. * DEEP * STEP / (seconds() - start) / 1e9);
}
