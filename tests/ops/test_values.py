"""What primitives compute, against mpmath and NumPy, on both backends, in both floating types."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import scratchgan as sg
from scratchgan import Tensor
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.testing.samplers import SAMPLERS
from scratchgan.testing.strategies import samples


def logistic(x):
    return 1 / (1 + mpmath.exp(-x))


def cross_entropy(p, t):
    return -t * mpmath.log(p) - (1 - t) * mpmath.log(1 - p)


#: Elementwise primitives as functions of exact numbers; their derivatives are mpmath's.
EXACT = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "square": lambda x: x * x,
    "abs": abs,
    "sign": mpmath.sign,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "pow": lambda x, y: x**y,
    "tan": mpmath.tan,
    "atan": mpmath.atan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "trunc": lambda x: mpmath.floor(x) if x > 0 else mpmath.ceil(x),
    "to_nearest": mpmath.nint,
    "floored_quotient": lambda x, y: mpmath.floor(x / y),
    "remainder": lambda x, y: x - y * mpmath.floor(x / y),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "erfc_of_positive": mpmath.erfc,
    "maximum": max,
    "minimum": min,
    "where": lambda condition, x, y: x if condition else y,
    "clip": lambda x, min=-mpmath.inf, max=mpmath.inf: mpmath.mpf(
        min if x < min else max if x > max else x
    ),
    "relu": lambda x: max(x, 0 * x),
    "relu_backward": lambda g, y: g if y > 0 else 0 * g,
    "leaky_relu": lambda x, negative_slope: x if x > 0 else negative_slope * x,
    "leaky_relu_backward": lambda g, x, negative_slope: g if x > 0 else negative_slope * g,
    "tanh": mpmath.tanh,
    "tanh_backward": lambda g, y: g * (1 - y**2),
    "sigmoid": logistic,
    "sigmoid_backward": lambda g, y: g * y * (1 - y),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "softplus_backward": lambda g, y: -g * mpmath.expm1(-y),
    "binary_cross_entropy": cross_entropy,
    "binary_cross_entropy_backward": lambda g, p, t: g * (p - t) / (p * (1 - p)),
    "binary_cross_entropy_with_logits": lambda x, t: cross_entropy(logistic(x), t),
}


def scattered_sum(x, *indices, shape, template):
    out = np.zeros(shape)
    arrays = iter(indices)
    np.add.at(out, tuple(next(arrays) if part == "array" else part for part in template), x)
    return out


def scattered(x, shape, index):
    out = np.zeros(shape)
    out[index] = x
    return out


def on_diagonal(x, shape, offset, dims):
    out = np.zeros(shape)
    rows, columns = np.nonzero(np.eye(*(shape[dim] for dim in dims), k=offset))
    np.moveaxis(out, dims, (-2, -1))[..., rows, columns] = x
    return out


def gathered(x, *indices, template):
    arrays = iter(indices)
    return x[tuple(next(arrays) if part == "array" else part for part in template)]


def put(x, value, *indices, template):
    out = x.copy()
    arrays = iter(indices)
    out[tuple(next(arrays) if part == "array" else part for part in template)] = value
    return out


def layer(x, weight, bias, activation, scalars):
    before = x @ weight.T + bias
    return {
        "none": lambda: before,
        "relu": lambda: np.maximum(before, 0),
        "leaky_relu": lambda: np.where(before > 0, before, before * scalars[0]),
        "tanh": lambda: np.tanh(before),
        "sigmoid": lambda: 1 / (1 + np.exp(-before)),
        "softplus": lambda: np.logaddexp(before, 0),
    }[activation]()


#: The others, as NumPy has them.
NUMPY = {
    "cast": lambda x, dtype: x.astype(dtype),
    "clone": np.copy,
    "to_device": lambda x, device, source: x,
    "reshape": lambda x, shape: x.reshape(shape),
    "permute": lambda x, dims: x.transpose(dims),
    "diagonal": lambda x, offset, dims: x.diagonal(offset, *dims),
    "on_diagonal": on_diagonal,
    "expand": np.broadcast_to,
    "expand_copy": np.broadcast_to,
    "view": lambda x, index: x[index],
    "scatter": scattered,
    "gather": gathered,
    "scatter_add": scattered_sum,
    "put": put,
    "cat": lambda *tensors, dim: np.concatenate(tensors, dim),
    "sum": lambda x, dim, keepdim: x.sum(None if dim == () else dim, keepdims=keepdim),
    "mean": lambda x, dim, keepdim: x.mean(None if dim == () else dim, keepdims=keepdim),
    "amax": lambda x, dim, keepdim: x.max(None if dim == () else dim, keepdims=keepdim),
    "amin": lambda x, dim, keepdim: x.min(None if dim == () else dim, keepdims=keepdim),
    "log_softmax": lambda x, dim: x - np.log(np.exp(x).sum(dim, keepdims=True)),
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
    "bitwise_left_shift": np.left_shift,
    "bitwise_right_shift": np.right_shift,
    "bits_turned": np.invert,
    "matmul": np.matmul,
    "linear": layer,
}

#: Relative to the larger of 1 and the value: a few roundings.
TOLERANCE = {np.float64: 5e-15, np.float32: 2e-6}


def test_every_primitive_has_an_independent_meaning():
    assert {*EXACT, *NUMPY} >= {*SAMPLERS}
    assert not {*EXACT} & {*NUMPY}


def examples(share):
    """Hypothesis settings with a share of the profile's examples."""
    return settings(max_examples=max(1, settings().max_examples // share))


def close(found, expected, dtype):
    error = abs(mpmath.mpf(float(found)) - expected)
    assert error <= TOLERANCE[dtype] * max(1, abs(expected)), f"{found!r}, exactly {expected}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", EXACT)
def test_elementwise_values_and_derivatives(name, backend, dtype):
    primitive, exact = REGISTRY[name], EXACT[name]

    def checked(inputs, keywords, shape):
        """``inputs`` are arrays of ``shape`` or numbers."""
        varied = [
            i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        ]
        tensors = [Tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
        leaves = [tensors[i].requires_grad_() for i in varied]
        out = primitive(*tensors, **keywords)
        gradients = [None] * len(leaves)
        if out.requires_grad:
            gradients = sg.autograd.grad(out, leaves, out.ones_like(), allow_unused=True)
        exact_keywords = {k: mpmath.mpf(dtype(v).item()) for k, v in keywords.items()}
        for at in np.ndindex(shape):
            point = [x[at].item() if isinstance(x, np.ndarray) else dtype(x).item() for x in inputs]

            def along(*moved, point=point):
                for i, x in zip(varied, moved, strict=True):
                    point[i] = x
                return exact(*point, **exact_keywords)

            start = tuple(mpmath.mpf(point[i]) for i in varied)
            close(out.array[at], along(*start), dtype)
            for i, gradient in enumerate(gradients if primitive.vjps else ()):
                order = tuple(int(i == j) for j in range(len(varied)))
                slope = 0.0 if gradient is None else gradient.array[at]
                close(slope, mpmath.diff(along, start, order), dtype)

    @examples(5)
    @given(samples(SAMPLERS[name].sampler))
    def holds(sample):
        shape = np.broadcast_shapes(*[x.shape for x in sample.inputs if isinstance(x, Tensor)])
        inputs = []
        for x in sample.inputs:
            if isinstance(x, Tensor):
                x = np.array(np.broadcast_to(x.array, shape))
                x = x.astype(dtype) if x.dtype.kind == "f" else x
            inputs.append(x)
        with sg.use_backend(backend), mpmath.workdps(30):
            checked(inputs, sample.keywords, shape)

    holds()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", NUMPY)
def test_values_are_those_of_numpy(name, backend, dtype):
    @examples(2)
    @given(samples(SAMPLERS[name].sampler))
    def holds(sample):
        exact = [x.array if isinstance(x, Tensor) else np.asarray(x) for x in sample.inputs]
        tensors = [Tensor(x.astype(dtype) if x.dtype.kind == "f" else x) for x in exact]
        with sg.use_backend(backend):
            out = REGISTRY[name](*tensors, **sample.keywords)
        rounded = [x.array.astype(np.float64) if x.dtype.kind == "f" else x.array for x in tensors]
        expected = NUMPY[name](*rounded, **sample.keywords)
        tolerance = TOLERANCE[dtype] * 4  # sums of a few terms
        np.testing.assert_allclose(out.array, expected, rtol=tolerance, atol=tolerance)
        assert out.shape == expected.shape

    holds()
