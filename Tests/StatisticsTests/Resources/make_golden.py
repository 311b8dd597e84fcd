"""Makes golden.json: values of SciPy, and of mpmath at 60 digits, for the tests of Statistics.

    python3 make_golden.py        # needs scipy and mpmath; takes half a minute

Every case has what SciPy says and what 60 digits say; where the two differ by more than 1e-12 relative the script says
so and leaves SciPy's value out (null), so that no test is bent to an inexact reference.
"""

import json
import pathlib

import mpmath
import scipy
from mpmath import mpf
from scipy import special, stats

mpmath.mp.dps = 60
skipped = []


def pair(name, scipy_value, exact):
    """[scipy or null, exact], and a note when they part."""
    exact_double = float(exact)
    scipy_value = float(scipy_value)
    scale = abs(exact) if exact else mpf(1)
    if abs(mpf(scipy_value) - exact) > scale * mpf("1e-12") and exact_double > 1e-300:
        skipped.append((name, scipy_value, exact_double))
        return [None, exact_double]
    return [scipy_value, exact_double]


def log_pmf(n, k, p):
    p = mpf(p)
    choose = mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)
    return choose + (k * mpmath.log(p) if k else 0) + ((n - k) * mpmath.log(1 - p) if k < n else 0)


def tail(n, k, p, step):
    """P(X <= k) for step -1, P(X >= k) for step +1, added term by term from k outward until nothing changes."""
    p = mpf(p)
    odds = p / (1 - p)
    term = mpmath.exp(log_pmf(n, k, p))
    total = term
    rising = True
    while 0 <= k + step <= n:
        previous = term
        term = term * k / (n - k + 1) / odds if step < 0 else term * (n - k) / (k + 1) * odds
        k += step
        total += term
        rising = term > previous
        if not rising and term < total * mpf("1e-30"):
            break
    return total


def mcnemar():
    cases = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (5, 0), (33, 8), (33, 25), (60, 30), (61, 30), (100, 10), (999, 1)]
    for n in (1000, 12_345, 100_000, 1_000_000):
        deviation = n**0.5 / 2
        for z in (-35, -20, -10, -5, -2, -1, -0.1, 0, 0.1, 1, 3, 6):
            b = int(n / 2 + z * deviation)
            if 0 <= b <= n:
                cases.append((n, b))
    cases += [(1000, 0), (1000, 1000), (1000, 3), (1_000_000, 499_999), (1_000_000, 500_001), (999_999, 499_999)]
    rows = []
    for n, b in cases:
        value = stats.binomtest(b, n, 0.5, alternative="less").pvalue if n else 1.0
        exact = tail(n, b, 0.5, -1) if n else mpf(1)
        rows.append([n, b, *pair(f"mcnemar {n} {b}", value, exact)])
    return rows


def binomial():
    rows = []
    cases = [
        (1, 0.3, (0, 1)), (10, 0.5, (0, 3, 5, 10)), (10, 1e-10, (0, 1, 2, 10)), (10, 1 - 1e-10, (0, 8, 9, 10)),
        (50, 0.07, (0, 1, 3, 4, 10, 50)), (1000, 0.002, (0, 1, 2, 3, 20)), (1000, 0.999, (970, 998, 999, 1000)),
        (100_000, 0.3, (28_000, 29_900, 30_000, 30_100, 32_000)), (1_000_000, 0.01, (9000, 10_000, 10_300)),
        (1_000_000, 1e-7, (0, 1, 5)), (123_457, 0.731, (89_000, 90_247, 91_500)),
    ]
    for n, p, counts in cases:
        for k in counts:
            pmf = mpmath.exp(log_pmf(n, k, p))
            name = f"binomial {n} {p} {k}"
            rows.append(
                [n, p, k, pair(name + " pmf", stats.binom.pmf(k, n, p), pmf),
                 pair(name + " cdf", stats.binom.cdf(k, n, p), tail(n, k, p, -1)),
                 pair(name + " sf", stats.binom.sf(k - 1, n, p), tail(n, k, p, 1))])
    return rows


def exact_beta(a, b, x):
    """I_x(a, b) and its complement by the hypergeometric series, which has no cancellation on its side."""
    a, b, x = mpf(a), mpf(b), mpf(x)

    def one_side(a, b, x):
        front = mpmath.exp(a * mpmath.log(x) + b * mpmath.log(1 - x) + mpmath.loggamma(a + b)
                           - mpmath.loggamma(a + 1) - mpmath.loggamma(b))
        term = total = mpf(1)
        n = 0
        while n < 2_000_000:
            term *= (a + b + n) / (a + 1 + n) * x
            total += term
            n += 1
            if term < total * mpf("1e-30") and (a + b + n) / (a + 1 + n) * x < 1:
                return front * total
        raise ValueError("no convergence")

    if x < a / (a + b):
        lower = one_side(a, b, x)
        return lower, 1 - lower
    upper = one_side(b, a, 1 - x)
    return 1 - upper, upper


def beta():
    rows = []
    cases = [
        (0.5, 0.5, (1e-8, 0.1, 0.5, 0.9)), (1, 1, (0.3,)), (1, 1000, (1e-6, 1e-3, 0.01)), (3, 7, (1e-4, 0.3, 0.31, 0.9)),
        (0.01, 2.5, (1e-20, 0.2)), (50, 1, (0.5, 0.99)), (200, 800, (0.1, 0.19, 0.2, 0.21, 0.3)),
        (5e4, 5e4, (0.49, 0.5, 0.502)), (1e5, 10, (0.9996, 0.9999)), (1e6, 1e6, (0.499, 0.5)), (33.25, 0.125, (0.8, 0.999)),
    ]
    for a, b, points in cases:
        for x in points:
            lower, upper = exact_beta(a, b, x)
            name = f"beta {a} {b} {x}"
            rows.append([a, b, x, pair(name, special.betainc(a, b, x), lower),
                         pair(name + " c", special.betaincc(a, b, x), upper)])
    return rows


def polished(n, k, x, goal, step):
    """The x with tail(n, k, x, step) = goal, by Newton steps from SciPy's, which errs by up to 1e-11 for large n."""
    x = mpf(float(x))
    for _ in range(3):
        slope = mpmath.exp(log_pmf(n, k, x)) * (k / x if step > 0 else -(n - k) / (1 - x))
        x += (mpf(goal) - tail(n, k, x, step)) / slope
    return x


def intervals():
    rows = []
    for n, counts in ((1, (0, 1)), (10, (0, 1, 5, 9, 10)), (2121, (0, 8, 25, 300, 2100, 2121)),
                      (100_000, (0, 1, 1000, 50_000, 100_000)), (1_000_000, (0, 3, 500_000, 999_999))):
        for k in counts:
            for confidence in (0.9, 0.95, 0.999):
                # binomtest(...).proportion_ci stops at 2e-12 absolute, too early for rates of one in a million.
                error = (1 - confidence) / 2
                low = polished(n, k, special.betaincinv(k, n - k + 1, error), error, 1) if k else 0.0
                high = polished(n, k, special.betainccinv(k + 1, n - k, error), error, -1) if k < n else 1.0
                rows.append([n, k, confidence, float(low), float(high)])
    return rows


def normal():
    cdf = []
    for z in (-38, -20, -8.5, -3, -1.96, -1, -1e-9, 0, 1e-3, 0.5, 1, 2, 6, 9):
        cdf.append([z, *pair(f"ndtr {z}", special.ndtr(z), mpmath.ncdf(mpf(z)))])
    quantile = []
    for p in (1e-300, 1e-50, 1e-12, 1e-5, 0.001, 0.025, 0.05, 0.0999, 0.1, 0.1001, 0.3, 0.5 - 1e-9, 0.5, 0.50001, 0.9, 0.975,
              0.99999, 1 - 2**-53):
        z = float(special.ndtri(p))
        exact = mpf(0) if p == 0.5 else mpmath.findroot(
            lambda t: mpmath.log(mpmath.ncdf(t)) - mpmath.log(mpf(p)), mpf(z))
        quantile.append([p, *pair(f"ndtri {p}", z, exact)])
    return {"cdf": cdf, "quantile": quantile}


golden = {
    "madeBy": f"make_golden.py with scipy {scipy.__version__} and mpmath {mpmath.__version__}",
    "mcnemar": mcnemar(), "binomial": binomial(), "beta": beta(), "intervals": intervals(), "normal": normal(),
}
lines = ["{", f' "madeBy": {json.dumps(golden.pop("madeBy"))},']
for index, (key, rows) in enumerate(golden.items()):
    comma = "," if index < len(golden) - 1 else ""
    if isinstance(rows, dict):
        lines.append(f' "{key}": {json.dumps(rows)}{comma}')
    else:
        lines.append(f' "{key}": [')
        lines += ["  " + json.dumps(row) + ("," if row is not rows[-1] else "") for row in rows]
        lines.append(f" ]{comma}")
lines.append("}")
pathlib.Path(__file__).with_name("golden.json").write_text("\n".join(lines) + "\n")
for name, value, exact in skipped:
    print(f"left out, SciPy differs from 60 digits: {name}: {value!r} {exact!r}")
