"""The few lines of C that the operators share: rounding, clipping, dot products."""

# C99 leaves to the compiler what shifting a negative number to the right does. All compilers for
# the cores here keep the sign; `to_c` compares every network with the engine, which would show it.
_RESCALE = """\
/* x * multiplier / 2^31 * 2^shift, rounded after the product and again after the shift. */
static inline int32_t rescale(int32_t x, int32_t multiplier, int shift) {
  const int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  const int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
  const int32_t high = (int32_t)((product + (1 << 30)) >> 31);
  const int32_t mask = (int32_t)((1u << right) - 1);
  return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0));
}
"""

_CODE = """\
static inline int8_t code(int32_t x, int32_t low, int32_t high) {
  return (int8_t)(x < low ? low : x > high ? high : x);
}
"""

# Two products of 16 bits at once, where the core has Arm's DSP extension.
_DOT = """\
/* The sum of (x - zero) * w over n neighbours. */
static inline int32_t dot(const int8_t *x, const int8_t *w, int n, int32_t zero) {
  int32_t sum = 0;
  int k = 0;
#if defined(__ARM_FEATURE_DSP) && !defined(MODEL_PLAIN)
  /* Four at a time. SXTB16 widens bytes 0 and 2 of a word to 16 bits each, after a rotation bytes
     1 and 3; SSUB16 subtracts in both halves; SMLAD multiplies in both and adds both products. */
  const int32_t zeros = (int32_t)((uint32_t)(zero & 0xffff) * 0x10001u);
  for (; k + 4 <= n; k += 4) {
    uint32_t four_x, four_w;
    __builtin_memcpy(&four_x, x + k, 4);
    __builtin_memcpy(&four_w, w + k, 4);
    for (int odd = 0; odd < 2; odd++) {
      const int32_t two_x = __builtin_arm_sxtb16((int32_t)four_x);
      const int32_t two_w = __builtin_arm_sxtb16((int32_t)four_w);
      sum = __builtin_arm_smlad(zero ? __builtin_arm_ssub16(two_x, zeros) : two_x, two_w, sum);
      four_x = four_x >> 8 | four_x << 24;
      four_w = four_w >> 8 | four_w << 24;
    }
  }
#endif
  for (; k < n; k++) sum += (x[k] - zero) * w[k];
  return sum;
}
"""

HELPERS = {"rescale": _RESCALE, "code": _CODE, "dot": _DOT}
