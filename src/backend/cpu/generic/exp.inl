// e^x in f32, within 1 unit in the last place or so: reduction by ln 2 in two parts, then a polynomial of degree 6
// (coefficients of Cephes expf). Below -87 the result is about 1e-38 rather than 0, above 88 about 2e38; NaN stays NaN.

static inline F32 exp(F32 x) {
  x = min(broadcast(88.0f), max(broadcast(-87.0f), x));
  const F32 n = round_to_integer(mul(x, broadcast(1.44269504088896341f)));
  F32 r = fnma(n, broadcast(0.693359375f), x);
  r = fnma(n, broadcast(-2.12194440e-4f), r);
  F32 p = broadcast(1.9875691500e-4f);
  p = fma(p, r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, mul(r, r), add(r, broadcast(1.0f)));
  return mul(p, power_of_two(n));
}

// In every lane the same instructions as in the others, so a scalar goes the same way.
static inline float exp(float x) { return first_lane(exp(broadcast(x))); }
