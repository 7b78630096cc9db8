// Element-wise loops; included once for each instruction set.
#include "lanes.h"

static void CK(add)(float *restrict y, const float *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void CK(axpy)(float *restrict y, float a, const float *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void CK(scale)(float *y, float a, const float *x, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) y[i] = a * x[i];
}

static double CK(dot)(const float *x, const float *y, size_t n) {
  CK_REASSOCIATE
  double total = 0;
  // Blocks of 4096 keep f32 lanes short of rounding trouble; the blocks are summed in f64.
  for (size_t start = 0; start < n; start += 4096) {
    size_t end = start + 4096 < n ? start + 4096 : n;
    float sum = 0;
    for (size_t i = start; i < end; i++) sum += x[i] * y[i];
    total += (double)sum;
  }
  return total;
}

static void CK(silu_mul)(float *h, const float *gate, const float *up, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) h[i] = gate[i] * ck_sigmoid(gate[i]) * up[i];
}

static void CK(silu_mul_backward)(float *dgate, float *dup, const float *dh, const float *gate, const float *up,
                                      size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) {
    float g = gate[i], u = up[i], d = dh[i];
    float s = ck_sigmoid(g);
    dup[i] = d * g * s;
    dgate[i] = d * u * s * (1.0f + g * (1.0f - s));
  }
}

static void CK(gaussian)(float *x, float own, const float *squares, float scale, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) {
    float distance = own + squares[i] - 2 * x[i];
    x[i] = ck_exp(scale * (distance > 0 ? distance : 0));
  }
}

static void CK(gelu)(float *y, const float *x, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) *(UNALIGNED_V *)(y + i) = ck_gelu_lanes(*(const UNALIGNED_V *)(x + i));
  if (i == n) return;
  float last[LANES] __attribute__((aligned(sizeof(V)))) = {0};
  memcpy(last, x + i, (n - i) * sizeof *x);
  *(V *)last = ck_gelu_lanes(*(V *)last);
  memcpy(y + i, last, (n - i) * sizeof *y);
}

static void CK(gelu_backward)(float *dx, const float *dy, const float *x, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) {
    float v = x[i];
    float cdf = 0.5f * (1.0f + ck_erf(v * 0.70710678118654752f));
    float pdf = 0.3989422804014327f * ck_exp(-0.5f * v * v);
    dx[i] = dy[i] * (cdf + v * pdf);
  }
}

// Half of 1 + tanh(u) is sigmoid(2u), which one exponential gives without cancellation.
CK_INLINE float gelu_tanh_gate(float x) { return ck_sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x)); }

static void CK(gelu_tanh)(float *y, const float *x, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) y[i] = x[i] * gelu_tanh_gate(x[i]);
}

static void CK(gelu_tanh_backward)(float *dx, const float *dy, const float *x, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) {
    float v = x[i];
    float s = gelu_tanh_gate(v);
    dx[i] = dy[i] * s * (1.0f + (1.0f - s) * 1.5957691216057308f * (v + 0.134145f * v * v * v));
  }
}

static void CK(gelu_tanh_mul)(float *h, const float *gate, const float *up, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) h[i] = gate[i] * gelu_tanh_gate(gate[i]) * up[i];
}

static void CK(gelu_tanh_mul_backward)(float *dgate, float *dup, const float *dh, const float *gate, const float *up,
                                           size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) {
    float g = gate[i], u = up[i], d = dh[i];
    float s = gelu_tanh_gate(g);
    dup[i] = d * g * s;
    dgate[i] = d * u * s * (1.0f + (1.0f - s) * 1.5957691216057308f * (g + 0.134145f * g * g * g));
  }
}

static void CK(mul)(float *y, const float *x, size_t n) {
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) y[i] *= x[i];
}

// tanh(u) = 2 sigmoid(2u) - 1
static void CK(soft_cap)(float *x, float *slope, float scale, float cap, size_t n) {
  float inner = 2.0f * scale / cap;
  if (slope) {
    CK_IN_PLACE
    for (size_t i = 0; i < n; i++) {
      float s = ck_sigmoid(inner * x[i]);
      slope[i] = 4.0f * s * (1.0f - s);
    }
  }
  CK_IN_PLACE
  for (size_t i = 0; i < n; i++) x[i] = cap * (2.0f * ck_sigmoid(inner * x[i]) - 1.0f);
}

static void CK(rope)(float *x, size_t stride, const float *cosine, const float *sine, float direction, size_t rows,
                         size_t heads, size_t half) {
  for (size_t r = 0; r < rows; r++) {
    const float *c = cosine + r * half, *s = sine + r * half;
    for (size_t h = 0; h < heads; h++) {
      float *a = x + r * stride + h * 2 * half, *b = a + half;
      for (size_t i = 0; i < half; i++) {
        float u = a[i], v = b[i], t = direction * s[i];
        a[i] = u * c[i] - v * t;
        b[i] = v * c[i] + u * t;
      }
    }
  }
}

static void CK(adamw)(float *w, float *m, float *v, const float *g, float lr, float b1, float b2, float c1, float c2,
                          float eps, float decay, size_t n) {
  float i1 = 1.0f / c1, i2 = 1.0f / c2;
  for (size_t i = 0; i < n; i++) {
    float d = g[i];
    m[i] = b1 * m[i] + (1.0f - b1) * d;
    v[i] = b2 * v[i] + (1.0f - b2) * d * d;
    w[i] -= lr * (m[i] * i1 / (__builtin_sqrtf(v[i] * i2) + eps) + decay * w[i]);
  }
}

static int CK(all_finite)(const float *x, size_t n) {
  uint32_t bad = 0;
  for (size_t i = 0; i < n; i++) {
    union { float f; uint32_t u; } bits = {x[i]};
    bad |= (uint32_t)((bits.u & 0x7f800000u) == 0x7f800000u);
  }
  return bad == 0;
}
