/* poisson_sig.c - logarithm and exponential by their series, good to the last few bits. */
#include "poisson.h"

#include <string.h>

#define LN2     0.69314718055994530942
#define SQRT2   1.41421356237309504880
#define GAP_MAX (INT64_C(1) << 62)

uint64_t sonde_prof__random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

uint64_t sonde_prof__random_seed(const void *place, uint64_t time_ns)
{
    uint64_t seed = ((uint64_t)(uintptr_t)place ^ time_ns) * UINT64_C(0x9E3779B97F4A7C15);

    return seed ? seed : 1;
}

/* x normal and above 0: x = m * 2^e with m in [1/sqrt 2, sqrt 2); ln m = 2 artanh((m - 1) / (m + 1)). */
static double ln(double x)
{
    uint64_t bits;
    double m, s, s2, sum = 0;
    int e, k;

    memcpy(&bits, &x, sizeof(bits));
    e = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    memcpy(&m, &bits, sizeof(m));
    if (m >= SQRT2) {
        m /= 2;
        e++;
    }
    s = (m - 1) / (m + 1);
    s2 = s * s;
    for (k = 23; k > 0; k -= 2)
        sum = sum * s2 + 1.0 / k;
    return e * LN2 + 2 * s * sum;
}

/* 1 - exp(-x) for x in [0, ln 2): the alternating series, from its small end. */
static double one_less_exp_near(double x)
{
    double sum = 1;
    int k;

    for (k = 18; k > 1; k--)
        sum = 1 - x / k * sum;
    return x * sum;
}

static double one_less_exp(double x)
{
    double part = 1;
    int k;

    if (x > 45) /* less than half a bit of 1 is missing */
        return 1;
    k = (int)(x / LN2);
    if (k == 0)
        return one_less_exp_near(x);
    x -= k * LN2;
    while (k-- > 0)
        part /= 2;
    return 1 - part * (1 - one_less_exp_near(x < 0 ? 0 : x));
}

int64_t sonde_prof__poisson_gap(uint64_t *state, uint64_t mean)
{
    double u = (double)((sonde_prof__random(state) >> 11) + 1) * 0x1p-53; /* (0, 1] */
    double gap = -(double)mean * ln(u);
    int64_t whole;

    if (gap >= (double)GAP_MAX)
        return GAP_MAX;
    whole = (int64_t)gap;
    if ((double)whole < gap)
        whole++;
    return whole > 0 ? whole : 1;
}

double sonde_prof__poisson_weight(uint64_t length, uint64_t mean)
{
    double x = (double)(length ? length : 1) / (double)(mean ? mean : 1);

    return 1 / one_less_exp(x);
}
