// What every body uses: pragmas, and functions of one number.

typedef uint32_t __attribute__((may_alias)) ck_bits;

#ifndef CK_UNROLL
#define CK_UNROLL _Pragma("clang loop unroll(full)")
#endif
#define CK_INLINE static inline __attribute__((always_inline))
// Lets the compiler keep several partial sums; without it a sum is one scalar chain, 20 times slower.
#define CK_REASSOCIATE _Pragma("clang fp reassociate(on) contract(fast)")

// Output may be input: without this the overlap check sends such calls to a scalar loop.
#define CK_IN_PLACE _Pragma("clang loop vectorize(assume_safety)")

// e^x within 2 ulp for |x| < 87, clamped outside: 2^k by the exponent bits, the rest by a degree-6 polynomial.
// libm's expf never vectorises.
CK_INLINE float ck_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  // Adding 1.5 * 2^23 rounds to the nearest integer, which stays in the low mantissa bits.
  const float magic = 12582912.0f;
  float shifted = x * 1.44269504088896341f + magic;
  union { float f; uint32_t u; } bits = {shifted};
  float k = shifted - magic;
  float r = x - k * 0.693145751953125f;
  r = r - k * 1.42860682030941723212e-6f;
  float p = 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  union { uint32_t u; float f; } power = {(bits.u + 127u) << 23};
  return p * power.f;
}

CK_INLINE float ck_sigmoid(float x) { return 1.0f / (1.0f + ck_exp(-x)); }

// erf(x) by Abramowitz & Stegun 7.1.26: |error| <= 1.5e-7.
CK_INLINE float ck_erf(float x) {
  float a = x < 0 ? -x : x;
  float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  float y = 1.0f - p * t * ck_exp(-a * a);
  return x < 0 ? -y : y;
}

CK_INLINE float ck_from_bf16(uint16_t x) {
  union { uint32_t u; float f; } bits = {(uint32_t)x << 16};
  return bits.f;
}

// The nearest bf16, ties to even; not for NaN.
CK_INLINE uint16_t ck_to_bf16(float x) {
  union { float f; uint32_t u; } bits = {x};
  return (uint16_t)((bits.u + 0x7fffu + ((bits.u >> 16) & 1u)) >> 16);
}

CK_INLINE float ck_round_bf16(float x) { return ck_from_bf16(ck_to_bf16(x)); }

// `count` numbers rounded to bf16; and pairs of them as words, the first in the low half.
#ifndef CK_ROUND_RUN
#define CK_ROUND_RUN(from, count, to) \
  for (size_t i = 0; i < (count); i++) (to)[i] = ck_to_bf16((from)[i])
#define CK_ROUND_PAIRS(low, high, count, to) \
  for (size_t i = 0; i < (count); i++) (to)[i] = ck_to_bf16((low)[i]) | (uint32_t)ck_to_bf16((high)[i]) << 16
#endif

// The size of equal blocks of at most `most`, a multiple of `unit`.
CK_INLINE size_t ck_even(size_t total, size_t most, size_t unit) {
  size_t blocks = (total + most - 1) / most;
  size_t size = blocks == 0 ? unit : (total + blocks - 1) / blocks;
  return (size + unit - 1) / unit * unit;
}
