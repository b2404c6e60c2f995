"""The errors that :mod:`~scratchgan.backend.cpu.float32_math` states, against float64's."""

import numpy as np
import pytest

from scratchgan.backend.cpu import kernels as numba_kernels
from scratchgan.backend.scalar import DEFINITIONS


def samples(low: float, high: float) -> np.ndarray:
    """Floats of every size from ``low`` to ``high``, of both signs where the range has both."""
    rng = np.random.default_rng(0)
    even = rng.uniform(low, high, 200_000)
    least = np.log(1e-38 if low <= 0 else low)
    spread = np.exp(rng.uniform(least, np.log(high), 200_000))
    signs = rng.choice([1.0, -1.0] if low < 0 else [1.0], spread.size)
    x = np.concatenate([even, signs * spread]).astype(np.float32)
    return x[(x >= np.float32(low)) & (x <= np.float32(high))]


@pytest.mark.parametrize(
    ("name", "low", "high", "most"),
    [
        ("exp", -87.0, 88.5, 1.02),
        ("log", 1e-38, 3e38, 1.0),
        ("log1p", -0.999, 1e6, 3.0),
        ("tanh", -12.0, 12.0, 7.0),
    ],
)
def test_errors_in_units_in_the_last_place(name, low, high, most):
    x = samples(low, high)
    out = np.empty_like(x)
    numba_kernels.compile_elementwise(DEFINITIONS[name])(x, out=out)
    exact = getattr(np, name)(x.astype(np.float64))
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    errors = np.abs(out - exact) / unit
    worst = errors.argmax()
    assert errors[worst] <= most, f"{name}({x[worst]!r}) is {out[worst]!r}, not {exact[worst]!r}"
    assert errors[worst] > most / 10  # the statement is not far from the truth either


def test_exact_points():
    x = np.array([0, np.inf, -np.inf, np.nan], np.float32)
    for name, expected in (
        ("exp", [1, np.inf, 0, np.nan]),
        ("log", [-np.inf, np.inf, np.nan, np.nan]),
        ("tanh", [0, 1, -1, np.nan]),
    ):
        out = np.empty_like(x)
        numba_kernels.compile_elementwise(DEFINITIONS[name])(x, out=out)
        np.testing.assert_array_equal(out, np.array(expected, np.float32), err_msg=name)
