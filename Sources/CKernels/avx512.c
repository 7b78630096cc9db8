#include "dispatch.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,f16c,lzcnt,popcnt"))), apply_to = function)
#define CK(name) name##_avx512
#include "bodies/avx512.h"
const ck_kernels ck_kernels_avx512 = CK_TABLE("avx512");
#pragma clang attribute pop
#endif
