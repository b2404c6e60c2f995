"""The distributions that parameters start from, under PyTorch's names; all work in place.

Each returns the tensor that it was given. Random numbers come from ``generator``, or from the
default stream that :func:`scratchgan.manual_seed` seeds.
"""

import math
from statistics import NormalDist

import numpy as np

from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.creation import as_tensor
from scratchgan.missing import refuse_others
from scratchgan.random import Generator, default_generator

# --- Plain distributions --------------------------------------------------------------


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element ``val``."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return constant_(tensor, 1)


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [a, b].

    Raises:
        ValueError: ``b`` is below ``a``.
    """
    if b < a:
        raise ValueError(f"uniform_: b is {b}, below a, which is {a}")
    return _draw("uniform", tensor, b - a, a, generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with this mean and standard deviation.

    Raises:
        ValueError: ``std`` is negative.
    """
    if std < 0:
        raise ValueError(f"normal_: std is {std}; it must be 0 or more")
    return _draw("normal", tensor, std, mean, generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal with this mean and standard deviation, of what lies within [a, b].

    Raises:
        ValueError: ``a`` is not below ``b``.
    """
    if not a < b:
        raise ValueError(f"trunc_normal_: a is {a}, not below b, which is {b}")
    normal = NormalDist()
    low, high = (normal.cdf((bound - mean) / std) for bound in (a, b))
    uniform_(tensor, 0.0, 1.0, generator)
    kernels = kernels_for[type(tensor.array)]
    shares = low + (high - low) * kernels.to_host(tensor.array).astype(np.float64)
    tiny = np.finfo(np.float64).tiny
    within = [normal.inv_cdf(share) for share in np.clip(shares, tiny, 1 - 2**-53).ravel()]
    values = np.clip(mean + std * np.array(within).reshape(tensor.shape), a, b)
    with no_grad():
        return tensor.copy_(values)


def _draw(
    kernel: str, tensor: Tensor, scale: float, shift: float, generator: Generator | None
) -> Tensor:
    draw = getattr(kernels_for[type(tensor.array)], kernel)
    draw((generator or default_generator).state, out=tensor.array)
    with no_grad():
        return tensor.mul_(scale).add_(shift)


# --- Matrices of a special form -------------------------------------------------------


def _require_matrix(name: str, tensor: Tensor) -> None:
    if tensor.ndim != 2:
        raise ValueError(f"{name}: the tensor is a matrix, not of shape {tensor.shape}")


def eye_(tensor: Tensor) -> Tensor:
    """Ones on the diagonal of a matrix, else zeros."""
    _require_matrix("eye_", tensor)
    with no_grad():
        return tensor.copy_(np.eye(tensor.shape[0], tensor.shape[1]))


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Rows (or columns, if there are fewer) of length ``gain`` at right angles to each other.

    See Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning".

    Args:
        tensor: (rows, ...); seen as a matrix with these rows.
        gain: The length.
        generator: Where the numbers come from.

    Raises:
        ValueError: It has less than two dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: a tensor of shape {tensor.shape}; at least 2 dimensions")
    if not tensor.numel():
        return tensor
    normal_(tensor, 0.0, 1.0, generator)
    drawn = kernels_for[type(tensor.array)].to_host(tensor.array).reshape(len(tensor), -1)
    is_wide = drawn.shape[0] < drawn.shape[1]
    q, r = np.linalg.qr(drawn.T if is_wide else drawn)
    q *= np.sign(np.diag(r))  # uniform over all such matrices: Mezzadri 2007, section 5
    with no_grad():
        return tensor.copy_(gain * (q.T if is_wide else q).reshape(tensor.shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normal, with this share of zeros in each column of a matrix (Martens 2010).

    Args:
        tensor: A matrix.
        sparsity: The share, rounded up to whole rows.
        std: The standard deviation of the rest.
        generator: Where the numbers come from.
    """
    _require_matrix("sparse_", tensor)
    uniform_(tensor, 0.0, 1.0, generator)
    rows = len(tensor)
    order = kernels_for[type(tensor.array)].to_host(tensor.array).argsort(0).argsort(0)
    normal_(tensor, 0.0, std, generator)
    with no_grad():
        return tensor.mul_(as_tensor(order >= math.ceil(sparsity * rows)).to(tensor))


# --- Scaled so that signals neither fade nor grow from layer to layer -----------------


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are larger before ``nonlinearity``, as PyTorch recommends.

    Args:
        nonlinearity: ``"linear"`` (or a convolution's name), ``"sigmoid"``, ``"tanh"``, ``"relu"``,
            ``"leaky_relu"`` or ``"selu"``.
        param: The negative slope of ``"leaky_relu"``, 0.01 where it is left out.

    Raises:
        ValueError: There is no gain for this nonlinearity.
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        **{f"conv{kind}{n}d": 1.0 for kind in ("", "_transpose") for n in (1, 2, 3)},
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: no gain for {nonlinearity!r}; choose one of {', '.join(gains)}"
        )
    return gains[nonlinearity]


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on ±gain √(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Args:
        tensor: A weight (out, in), or (out, in, ...) with a receptive field.
        gain: See :func:`calculate_gain`.
        generator: Where the numbers come from.
    """
    bound = math.sqrt(3) * gain * math.sqrt(2 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain √(2 / (fan_in + fan_out)); see :func:`xavier_uniform_`.

    The variance is that of Glorot & Bengio 2010, eq. 12.
    """
    std = gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor)))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform on ±gain √(3 / fan), of the variance of He et al. 2015, eq. 10 and 15.

    Args:
        tensor: A weight (out, in), or (out, in, ...) with a receptive field.
        a: Negative slope of ``"leaky_relu"``.
        mode: ``"fan_in"`` keeps the variance of the forward, ``"fan_out"`` of the backward.
        nonlinearity: What comes after the layer; see :func:`calculate_gain`.
        generator: Where the numbers come from.
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan; arguments as in :func:`kaiming_uniform_`."""
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(name, tensor), strict=True))
    if mode not in fans:
        raise ValueError(f"{name}: there is no mode {mode!r}; choose fan_in or fan_out")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode]) if fans[mode] else 0.0


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """How many inputs reach one output of a weight (out, in, ...), and the other way round."""
    if tensor.ndim < 2:
        raise ValueError(
            f"{name}: a tensor of shape {tensor.shape} has no inputs and outputs to count; "
            "expected (out, in) or (out, in, ...)"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


refuse_others(__name__)
