#include "dispatch.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,f16c,lzcnt,popcnt,avx512bf16"))), apply_to = function)
#define CK(name) name##_avx512bf16
#include "bodies/round_bf16.h"
// Both products of a pair in one instruction, in f32.
#define CK_MULTIPLY_PAIRS(sum, x, packed) \
  (V)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)_mm512_set1_epi32((int)(x)), (__m512bh)(packed))
#include "bodies/avx512.h"
const ck_kernels ck_kernels_avx512bf16 = CK_TABLE("avx512bf16");
#pragma clang attribute pop
#endif
