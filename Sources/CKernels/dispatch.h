// The kernels of one instruction set, and how a set is chosen.

#ifndef C_KERNELS_DISPATCH_H
#define C_KERNELS_DISPATCH_H

#include "CKernels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Every kernel: result, name, parameters, arguments. Documented in CKernels.h.
#define CK_EVERY(X)                                                                                                    \
  X(void, add, (float *restrict y, const float *restrict x, size_t n), (y, x, n))                                      \
  X(void, axpy, (float *restrict y, float a, const float *restrict x, size_t n), (y, a, x, n))                         \
  X(void, scale, (float *y, float a, const float *x, size_t n), (y, a, x, n))                                          \
  X(double, dot, (const float *x, const float *y, size_t n), (x, y, n))                                                \
  X(void, silu_mul, (float *h, const float *gate, const float *up, size_t n), (h, gate, up, n))                        \
  X(void, silu_mul_backward,                                                                                           \
    (float *dgate, float *dup, const float *dh, const float *gate, const float *up, size_t n),                         \
    (dgate, dup, dh, gate, up, n))                                                                                     \
  X(void, gelu_tanh_mul, (float *h, const float *gate, const float *up, size_t n), (h, gate, up, n))                   \
  X(void, gelu_tanh_mul_backward,                                                                                      \
    (float *dgate, float *dup, const float *dh, const float *gate, const float *up, size_t n),                         \
    (dgate, dup, dh, gate, up, n))                                                                                     \
  X(void, mul, (float *y, const float *x, size_t n), (y, x, n))                                                        \
  X(void, soft_cap, (float *x, float *slope, float scale, float cap, size_t n), (x, slope, scale, cap, n))             \
  X(void, gelu, (float *y, const float *x, size_t n), (y, x, n))                                                       \
  X(void, gelu_backward, (float *dx, const float *dy, const float *x, size_t n), (dx, dy, x, n))                       \
  X(void, gelu_tanh, (float *y, const float *x, size_t n), (y, x, n))                                                  \
  X(void, gelu_tanh_backward, (float *dx, const float *dy, const float *x, size_t n), (dx, dy, x, n))                  \
  X(void, rope,                                                                                                        \
    (float *x, size_t stride, const float *cosine, const float *sine, float direction, size_t rows, size_t heads,      \
     size_t half),                                                                                                     \
    (x, stride, cosine, sine, direction, rows, heads, half))                                                           \
  X(void, adamw,                                                                                                       \
    (float *w, float *m, float *v, const float *g, float lr, float b1, float b2, float c1, float c2, float eps,        \
     float decay, size_t n),                                                                                           \
    (w, m, v, g, lr, b1, b2, c1, c2, eps, decay, n))                                                                   \
  X(void, gaussian, (float *x, float own, const float *squares, float scale, size_t n), (x, own, squares, scale, n))    \
  X(void, sum_rows,                                                                                                    \
    (float *y, const void *table, size_t stride, int is_bf16, const int64_t *rows, size_t count, size_t n),            \
    (y, table, stride, is_bf16, rows, count, n))                                                                       \
  X(int, all_finite, (const float *x, size_t n), (x, n))                                                               \
  X(void, rms_norm,                                                                                                    \
    (float *y, float *inverse_rms, const float *x, const float *w, float epsilon, size_t rows, size_t columns),        \
    (y, inverse_rms, x, w, epsilon, rows, columns))                                                                    \
  X(void, rms_norm_backward,                                                                                           \
    (float *dx, const float *dy, const float *x, const float *inverse_rms, const float *w, size_t rows,                \
     size_t columns),                                                                                                  \
    (dx, dy, x, inverse_rms, w, rows, columns))                                                                        \
  X(void, layer_norm,                                                                                                  \
    (float *y, float *mean, float *inverse_sd, const float *x, const float *w, const float *b, float epsilon,          \
     size_t rows, size_t columns),                                                                                     \
    (y, mean, inverse_sd, x, w, b, epsilon, rows, columns))                                                            \
  X(void, layer_norm_backward,                                                                                         \
    (float *dx, float *dw, float *db, const float *dy, const float *x, const float *mean, const float *inverse_sd,     \
     const float *w, size_t rows, size_t columns),                                                                     \
    (dx, dw, db, dy, x, mean, inverse_sd, w, rows, columns))                                                           \
  X(void, softmax, (float *s, float scale, size_t first_kept, size_t rows, size_t columns),                            \
    (s, scale, first_kept, rows, columns))                                                                             \
  X(void, softmax_backward, (float *dp, const float *p, float scale, size_t rows, size_t columns),                     \
    (dp, p, scale, rows, columns))                                                                                     \
  X(void, exp_block,                                                                                                   \
    (float *logits, size_t stride, float *top, double *total, float *block_top, size_t rows, size_t columns),          \
    (logits, stride, top, total, block_top, rows, columns))                                                            \
  X(void, gemm,                                                                                                        \
    (size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c, size_t c_stride,       \
     int rounds, const ck_finish *finish),                                                                             \
    (m, n, k, alpha, a, b, beta, c, c_stride, rounds, finish))                                                         \
  X(size_t, packed_bytes, (int numbers, size_t n, size_t k), (numbers, n, k))                                          \
  X(void, pack_weight, (int numbers, size_t n, size_t k, ck_factor w, void *packed), (numbers, n, k, w, packed))       \
  X(void, linear,                                                                                                      \
    (int numbers, size_t m, size_t n, size_t k, const float *x, size_t x_stride, const void *packed, float beta,       \
     const ck_finish *finish, float *y, size_t y_stride),                                                              \
    (numbers, m, n, k, x, x_stride, packed, beta, finish, y, y_stride))                                                \
  X(void, feed_forward, (const ck_feed_forward_task *task), (task))                                                    \
  X(void, attention, (const ck_attention_task *task), (task))

#define CK_MEMBER(result, name, parameters, arguments) result(*name) parameters;
typedef struct {
  const char *instruction_set;
  CK_EVERY(CK_MEMBER)
} ck_kernels;

// The table of one body's kernels, in the same order.
#define CK_ENTRY(result, name, parameters, arguments) .name = CK(name),
#define CK_TABLE(set) {.instruction_set = set, CK_EVERY(CK_ENTRY)}

// Whether the processor multiplies tiles and the kernel lets this process use them.
int ck_may_use_amx(void);

extern const ck_kernels ck_kernels_amx, ck_kernels_avx512bf16, ck_kernels_avx512, ck_kernels_avx2, ck_kernels_baseline;

// This thread's memory for a packed block and a panel, 64-byte aligned.
float *ck_gemm_scratch(void);
// This thread's memory for more, so many bytes at least, 64-byte aligned; what it held before is lost.
void *ck_scratch(size_t bytes);

#endif
