// The loops and the matrix product under the layers, in C because they need an instruction set chosen at run time:
// each is compiled for AVX-512 with AMX, with bf16 and without, AVX2 and the baseline, and one set is chosen when the program
// starts. The environment variable ALINFIK_INSTRUCTION_SET=avx512bf16, avx512, avx2 or baseline takes a smaller one than
// the processor has.
// Matrices are row-major f32. `rows` x `columns`, with a stride in elements where rows may be apart.
// Sums use a fixed order for a given instruction set, so the same machine gives the same bits.

#ifndef C_KERNELS_H
#define C_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// Name of the chosen instruction set: "amx", "avx512bf16", "avx512", "avx2" or "baseline".
const char *ck_instruction_set(void);
// Whether it multiplies bf16 pairs; else the factors of such a product are rounded and multiplied in f32.
int ck_multiplies_bf16(void);
// Whether it multiplies int8 numbers four at a time or more; else such a product is exact too, and slow.
int ck_multiplies_int8(void);
// Whether it multiplies whole tiles of bf16 (AMX), many times as fast as f32.
int ck_multiplies_tiles(void);

// y += x
void ck_add(float *y, const float *x, size_t n);
// y += a x
void ck_axpy(float *y, float a, const float *x, size_t n);
// y = a x
void ck_scale(float *y, float a, const float *x, size_t n);
// sum x_i y_i, lanes in f32, returned in f64
double ck_dot(const float *x, const float *y, size_t n);

// SwiGLU: h = silu(gate) * up
void ck_silu_mul(float *h, const float *gate, const float *up, size_t n);
// Given dh: writes dgate and dup (may alias gate and up).
void ck_silu_mul_backward(float *dgate, float *dup, const float *dh, const float *gate, const float *up, size_t n);

// GeGLU: h = gelu_tanh(gate) * up
void ck_gelu_tanh_mul(float *h, const float *gate, const float *up, size_t n);
// Given dh: writes dgate and dup (may alias gate and up).
void ck_gelu_tanh_mul_backward(float *dgate, float *dup, const float *dh, const float *gate, const float *up, size_t n);

// y *= x
void ck_mul(float *y, const float *x, size_t n);
// x = cap tanh(scale x / cap) in place; slope = 1 - tanh^2 where it is not NULL.
void ck_soft_cap(float *x, float *slope, float scale, float cap, size_t n);

// GELU by the error function: y = x Phi(x) (erf within 2e-7); may alias.
void ck_gelu(float *y, const float *x, size_t n);
// dx = dy (Phi(x) + x phi(x)); may alias dy.
void ck_gelu_backward(float *dx, const float *dy, const float *x, size_t n);

// GELU by the hyperbolic tangent: y = x s, s = (1 + tanh(u)) / 2, u = sqrt(2/pi) (x + 0.044715 x^3); may alias.
void ck_gelu_tanh(float *y, const float *x, size_t n);
// dx = dy (s + x s (1 - s) 2 u'), u' = sqrt(2/pi) (1 + 0.134145 x^2); may alias dy.
void ck_gelu_tanh_backward(float *dx, const float *dy, const float *x, size_t n);

// y = x / rms(x) * w a row; inverse_rms[rows] is kept for backward.
void ck_rms_norm(float *y, float *inverse_rms, const float *x, const float *w, float epsilon, size_t rows, size_t columns);
// dx += backward of rms norm (adds to dx).
void ck_rms_norm_backward(float *dx, const float *dy, const float *x, const float *inverse_rms, const float *w, size_t rows, size_t columns);

// y = (x - mean) / sd * w + b a row; mean[rows] and inverse_sd[rows] are kept for backward.
void ck_layer_norm(float *y, float *mean, float *inverse_sd, const float *x, const float *w, const float *b, float epsilon, size_t rows, size_t columns);
// dx = backward of layer norm (written; may alias dy); dw and db are added to when not NULL.
void ck_layer_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *mean, const float *inverse_sd, const float *w, size_t rows, size_t columns);

// Softmax in place over the first `first_kept + r` columns of row r (at most all), the rest set to zero.
// Scores are scaled first: p = softmax(scale * s).
void ck_softmax(float *s, float scale, size_t first_kept, size_t rows, size_t columns);
// ds = scale * p * (dp - sum(dp * p)) a row, written over dp.
void ck_softmax_backward(float *dp, const float *p, float scale, size_t rows, size_t columns);

// A block of each row's log-sum-exp, taken block after block: with m the largest logit of row r so far, logits become
// e^(logit - m), total[r] (f64) is brought to m and the block's sum added, top[r] = block_top[r] = m.
// Before the first block top is -infinity and total 0; after the last the sum over all blocks is total e^top.
void ck_exp_block(float *logits, size_t stride, float *top, double *total, float *block_top, size_t rows, size_t columns);

// Rotary embedding by the Hugging Face convention (halves, not pairs), in place, over `heads` heads of width 2*half
// in each row; cosine and sine are [rows x half]. `direction` 1 rotates forward, -1 back.
void ck_rope(float *x, size_t stride, const float *cosine, const float *sine, float direction, size_t rows, size_t heads, size_t half);

// AdamW, decoupled weight decay (Loshchilov & Hutter 2019):
// m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= lr (m/c1 / (sqrt(v/c2) + eps) + decay w), c = 1 - b^step
void ck_adamw(float *w, float *m, float *v, const float *g, float lr, float b1, float b2, float c1, float c2, float eps, float decay, size_t n);

// x_i = e^(scale max(0, own + squares_i - 2 x_i)): of inner products a Gaussian of distances.
void ck_gaussian(float *x, float own, const float *squares, float scale, size_t n);

// y = the sum of `count` rows of a table (f32, or bf16), rows `stride` numbers apart, n numbers each, in their order.
void ck_sum_rows(float *y, const void *table, size_t stride, int is_bf16, const int64_t *rows, size_t count, size_t n);

// 1 when every value is finite, else 0.
int ck_all_finite(const float *x, size_t n);

// A factor of a product: row-major, rows `stride` numbers apart; f32, or bf16.
typedef struct {
  const void *values;
  size_t stride;
  int is_transposed;
  int is_bf16;
} ck_factor;

// What is done to a product C while it is in the cache: c = residual + act(c + bias).
typedef struct {
  // n, or NULL
  const float *bias;
  // m x n, rows `residual_stride` apart, not C itself; or NULL
  const float *residual;
  size_t residual_stride;
  // Whether act is GELU as ck_gelu; else it is the identity.
  int gelu;
} ck_finish;

// C = alpha op(A) op(B) + beta C, then `finish` unless that is NULL; op(A): m x k, op(B): k x n, C: m x n. With `rounds` both
// factors are rounded to bf16 first; products and sums are f32 (numbers below 2^-126 count as zero where the processor
// multiplies pairs). One thread; an element's bits depend on k, its row and its column alone.
void ck_gemm(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c, size_t c_stride,
             int rounds, const ck_finish *finish);

// What a packed weight's numbers, and those that it is multiplied with, are rounded to. int8: row by row (of x and of W), with
// a scale each: the largest / 127. Its sums are exact, so every instruction set gives the same bits; k at most 131072.
enum { CK_F32, CK_BF16, CK_INT8 };

// Bytes of a weight W (n x k) packed by the chosen instruction set.
size_t ck_packed_bytes(int numbers, size_t n, size_t k);
// Packs W, given as the transposed factor that it is; `packed` is aligned to 64 bytes.
void ck_pack_weight(int numbers, size_t n, size_t k, ck_factor w, void *packed);
// y = x W^T + beta y, then `finish` unless that is NULL; x: m x k, y: m x n. The bits of ck_gemm where there are such.
void ck_linear(int numbers, size_t m, size_t n, size_t k, const float *x, size_t x_stride, const void *packed, float beta,
               const ck_finish *finish, float *y, size_t y_stride);

// y = W2 gelu(W1 x + b1) + b2 + residual, both weights packed with the same numbers: x, y and residual rows x width, W1 hidden x width.
// residual may be NULL.
typedef struct {
  int numbers;
  size_t rows, width, hidden;
  const float *x, *up_bias, *down_bias, *residual;
  size_t x_stride, residual_stride;
  const void *up, *down;
  float *y;
  size_t y_stride;
} ck_feed_forward_task;
void ck_feed_forward(const ck_feed_forward_task *task);

// Attention of one sequence, O_h = softmax(scale Q_h K_h^T) V_h for each head h: rows are positions, strides apart. Head h reads
// its `width` columns of q from h head_stride on, those of k and v from h / group head_stride on, and writes out from h width on.
typedef struct {
  const float *q, *k, *v;
  size_t q_stride, k_stride, v_stride;
  float *out;
  size_t out_stride;
  size_t length, heads, group, width, head_stride;
  float scale;
  int is_causal;
  // Whether factors are rounded to bf16.
  int rounds;
} ck_attention_task;
void ck_attention(const ck_attention_task *task);

#endif
