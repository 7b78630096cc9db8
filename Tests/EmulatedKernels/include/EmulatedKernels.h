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

// ck_packed_bytes, ck_pack_weight and ck_linear with those tiles, and int8 by plain loops.
size_t emulated_packed_bytes(int numbers, size_t n, size_t k);
void emulated_pack_weight(int numbers, size_t n, size_t k, ck_factor w, void *packed);
void emulated_linear(int numbers, size_t m, size_t n, size_t k, const float *x, size_t x_stride, const void *packed,
                     float beta, const ck_finish *finish, float *y, size_t y_stride);

#endif
