// The product of bf16 pairs as the AVX-512 kernels compute it, on any machine: same tile, packing, blocks and order of
// the sum, the instruction replaced by its definition.

#ifndef EMULATED_KERNELS_H
#define EMULATED_KERNELS_H

#include "CKernels.h"

// As ck_gemm with `rounds`.
void emulated_bf16_gemm(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                        size_t c_stride);

// The same by tiles, as AMX multiplies them.
void emulated_tile_gemm(size_t m, size_t n, size_t k, float alpha, ck_factor a, ck_factor b, float beta, float *c,
                        size_t c_stride);

// The product of int8 by plain loops.
void emulated_int8_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_stride, const int8_t *b, size_t b_stride,
                        const float *b_scales, float beta, float *c, size_t c_stride);

#endif
