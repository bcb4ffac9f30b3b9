// mathematics.h - elementary functions in double whose bits do not depend on libm.
//
// Accurate to about 1e-15 relative; only sqrt and fma of libm are called. For host-side scalars
// (losses, schedules, weights of stems, rotary tables); the kernels have their own in fp32.

#ifndef L2A_BASE_MATHEMATICS_H
#define L2A_BASE_MATHEMATICS_H

double math_exp(double x);
double math_log(double x);           // x > 0
double math_pow(double x, double y); // x > 0
double math_sin(double x);           // |x| < 1e6
double math_cos(double x);

#endif
