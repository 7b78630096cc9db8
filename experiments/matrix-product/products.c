// Times products with weights that are not in the cache: each call takes the next of many second factors. The kernels
// (shared libraries on the command line) and OpenBLAS take turns, and each keeps its best time, for a machine that
// others use too.
#include <cblas.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "CKernels.h"

typedef void (*product)(size_t, size_t, size_t, float, ck_factor, ck_factor, float, float *, size_t, int, const ck_finish *);
enum { MOST = 8 };
static product kernels[MOST];
static int count;
extern void openblas_set_num_threads(int);

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static float *filled(long numbers) {
  float *values = aligned_alloc(64, (4 * numbers + 63) / 64 * 64);
  for (long i = 0; i < numbers; i++) values[i] = (float)(i % 1013) * 1e-3f;
  return values;
}

static void measure(int m, int n, int k, int transposed) {
  long weight = (long)n * k;
  int weights = (64L << 20) / weight < 2 ? 2 : (64L << 20) / weight > 40 ? 40 : (int)((64L << 20) / weight);
  float *a = filled((long)m * k), *b = filled(weight * weights), *c = filled((long)m * n);
  int stride = transposed ? k : n, next = 0;
  double best[MOST + 1];
  for (int i = 0; i <= count; i++) best[i] = 1e9;
  for (int round = 0; round < 6 * weights; round++) {
    for (int i = 0; i <= count; i++) {
      const float *w = b + weight * (next++ % weights);
      double begin = now();
      if (i == 0) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, a, k, w, stride,
                    0, c, n);
      } else {
        ck_factor left = {a, (size_t)k, 0, 0}, right = {w, (size_t)stride, transposed, 0};
        kernels[i - 1](m, n, k, 1, left, right, 0, c, n, 0, NULL);
      }
      double seconds = now() - begin;
      if (seconds < best[i]) best[i] = seconds;
    }
  }
  printf("%5d %5d %5d %d ", m, n, k, transposed);
  for (int i = 0; i <= count; i++) printf(" %6.1f", 2.0 * m * n * k / best[i] / 1e9);
  printf("\n");
  fflush(stdout);
  free(a);
  free(b);
  free(c);
}

int main(int argc, char **argv) {
  openblas_set_num_threads(1);
  for (int i = 1; i < argc && count < MOST; i++) {
    void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) return puts(dlerror()), 1;
    kernels[count++] = (product)dlsym(library, "ck_gemm");
  }
  int shapes[][4] = {
      {256, 576, 576, 1},   {256, 576, 576, 0},  {256, 1536, 576, 1}, {256, 576, 1536, 1}, {256, 1536, 576, 0},
      {256, 576, 1536, 0},  {128, 16384, 576, 1}, {128, 576, 16384, 0}, {256, 288, 768, 1},  {256, 768, 768, 1},
      {256, 3072, 768, 1},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    measure(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]);
}
