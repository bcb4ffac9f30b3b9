#include "base/mathematics.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/fail.h"

static const double LN2_HIGH = 0x1.62e42fefa3800p-1; // low bits zero: products with small integers
static const double LN2_LOW = 0x1.ef35793c76730p-45; // are exact

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Nearest integer, ties to even, for |x| < 2^51.
static double nearest(double x)
{
    const double shift = 0x1.8p52;
    volatile double sum = x + shift;
    return sum - shift;
}

// x = n ln 2 + r, |r| <= ln(2) / 2; Taylor series of degree 13 (error below 2^-57).
double math_exp(double x)
{
    if (isnan(x))
        return x;
    if (x > 709.7)
        return INFINITY;
    if (x < -745.0)
        return 0.0;
    double n = nearest(x * 1.4426950408889634);
    double r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, x));
    double sum = 1.0;
    for (int k = 13; k >= 1; k--)
        sum = fma(sum, r / k, 1.0);
    int64_t exponent = (int64_t)n;
    int64_t half = exponent / 2; // in two factors: the result may be subnormal
    double low = from_bits((uint64_t)(half + 1023) << 52);
    double high = from_bits((uint64_t)(exponent - half + 1023) << 52);
    return sum * low * high;
}

// x = 2^e m, m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(f), f = (m - 1) / (m + 1).
double math_log(double x)
{
    CHECK(x > 0 && isfinite(x), "logarithm of %g", x);
    int64_t exponent = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        exponent = -54;
    }
    uint64_t bits = to_bits(x);
    exponent += (int64_t)(bits >> 52) - 1023;
    double m = from_bits((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    double f = (m - 1.0) / (m + 1.0);
    double square = f * f;
    double sum = 0.0;
    for (int k = 23; k >= 3; k -= 2)
        sum = fma(sum, square, 1.0 / k);
    double e = (double)exponent;
    return fma(e, LN2_HIGH, fma(e, LN2_LOW, 2.0 * fma(sum * square, f, f)));
}

double math_pow(double x, double y)
{
    return math_exp(y * math_log(x));
}

// x = n pi/2 + r in three parts (Cody and Waite), |r| <= pi/4; Taylor series of sine and cosine.
static void sine_cosine(double x, double *sine, double *cosine)
{
    CHECK(fabs(x) < 1e6, "angle %g out of range", x);
    double n = nearest(x * 0.6366197723675814);
    double r = fma(-n, 0x1.921fb54442d18p+0, x);
    r = fma(-n, 0x1.1a62633145c07p-54, r);
    double square = r * r;
    double s = 0.0, c = 0.0;
    for (int k = 19; k >= 3; k -= 2) {
        s = fma(s, square, 1.0) * (-1.0 / (k * (k - 1)));
        c = fma(c, square, 1.0) * (-1.0 / ((k - 1) * (k - 2)));
    }
    s = fma(s * square, r, r);
    c = fma(c, square, 1.0);
    switch ((int64_t)n & 3) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
        break;
    }
}

double math_sin(double x)
{
    double sine, cosine;
    sine_cosine(x, &sine, &cosine);
    return sine;
}

double math_cos(double x)
{
    double sine, cosine;
    sine_cosine(x, &sine, &cosine);
    return cosine;
}
