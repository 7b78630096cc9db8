// Functions of a vector of numbers, for loops that the compiler would not turn into vectors itself.

typedef int32_t LANE_BITS __attribute__((vector_size(sizeof(V))));

// a where the mask is set, else b.
CK_INLINE V ck_select(LANE_BITS mask, V a, V b) { return (V)((mask & (LANE_BITS)a) | (~mask & (LANE_BITS)b)); }

CK_INLINE V ck_lanes(float x) { return x - (V){0}; }

#ifndef CK_SUM_LANES
#define CK_SUM_LANES(v) ck_sum_lanes(v)
#define CK_MAX_LANES(v) ck_max_lanes(v)
CK_INLINE float ck_sum_lanes(V v) {
  float sum = 0;
  for (size_t lane = 0; lane < LANES; lane++) sum += v[lane];
  return sum;
}

CK_INLINE float ck_max_lanes(V v) {
  float largest = v[0];
  for (size_t lane = 1; lane < LANES; lane++) largest = v[lane] > largest ? v[lane] : largest;
  return largest;
}
#endif

#ifndef CK_EXP_LANES
#define CK_EXP_LANES(x) ck_exp_lanes(x)
// e^x as ck_exp, for x < 88; what is not a number stays so.
CK_INLINE V ck_exp_lanes(V x) {
  x = ck_select(x < -87.0f, ck_lanes(-87.0f), x);
  V shifted = x * 1.44269504088896341f + 12582912.0f;
  V k = shifted - 12582912.0f;
  V r = x - k * 0.693145751953125f;
  r = r - k * 1.42860682030941723212e-6f;
  V p = r * (1.0f / 720.0f) + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * (V)(((LANE_BITS)shifted + 127) << 23);
}
#endif

// x Phi(x) within 1.1e-7 max(1, |x|): Phi(-a), a >= 0, is e^q(a) with q a polynomial (scripts/fit-gelu.py). Without the division of
// ck_erf, which takes longer than all the rest.
CK_INLINE V ck_gelu_lanes(V x) {
  V a = (V)((LANE_BITS)x & 0x7fffffff);
  V q = a * -1.1703147e-06f + 1.73695262e-05f;
  q = q * a - 7.92560822e-05f;
  q = q * a - 0.000224338219f;
  q = q * a + 0.00508342404f;
  q = q * a - 0.0365389511f;
  q = q * a - 0.318234473f;
  q = q * a - 0.797897875f;
  q = q * a - 0.693146408f;
  V tail = CK_EXP_LANES(q);
  return x * ck_select(x > 0, 1.0f - tail, tail);
}
