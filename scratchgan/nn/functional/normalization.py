"""Normalization: numbers brought to mean 0 and variance 1."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchgan import functions, ops
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.functional.common import require_floats


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, for each channel alone.

    In training, mean and (biased) variance are those of the batch, and ``running_mean`` and
    ``running_var``, where given, move towards them in place: ``(1 - momentum) * running +
    momentum * batch``, the variance unbiased. Otherwise the running ones are used
    (Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2).

    Args:
        input: (N, C, ...).
        running_mean: (C,), changed in training.
        running_var: (C,), changed in training.
        weight: (C,), or None for 1.
        bias: (C,), or None for 0.
        training: Whether to use the statistics of the batch.
        momentum: Weight of this batch in the running statistics.
        eps: Added to the variance.

    Raises:
        ValueError: The number of channels is wrong, running statistics are needed and missing, or
            a batch has just one value for each channel, which has no variance.
    """
    require_floats("batch_norm", input=input)
    if input.shape == (0,):  # nothing at all, which PyTorch lets pass
        return input.clone()
    x = input
    shape = (1, x.shape[1], *[1] * (x.ndim - 2)) if x.ndim >= 2 else ()
    statistics = {"running_mean": running_mean, "running_var": running_var}
    for name, given in {**statistics, "weight": weight, "bias": bias}.items():
        if not shape or (given is not None and given.shape != shape[1:2]):
            raise ValueError(
                f"batch_norm: an input of shape {x.shape} does not fit "
                f"{name} of shape {None if given is None else given.shape}; expected (N, C, ...) "
                "and (C,)"
            )
    if training:
        count = x.numel() // shape[1]
        if count < 2:
            raise ValueError(
                f"batch_norm: an input of shape {x.shape} has no more than one value for each "
                "channel; in training there must be more"
            )
        dims = (0, *range(2, x.ndim))
        mean = ops.mean(x, dim=dims, keepdim=True)
        deviations = ops.sub(x, mean)
        variance = ops.mean(ops.square(deviations), dim=dims, keepdim=True)
        with no_grad():
            _move(running_mean, mean, momentum, 1.0)
            _move(running_var, variance, momentum, count / (count - 1))
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm: outside of training running_mean and running_var are needed")
    else:
        deviations = ops.sub(x, functions.reshape(running_mean, shape))
        variance = functions.reshape(running_var, shape)
    out = ops.div(deviations, ops.sqrt(ops.add(variance, eps)))
    return _scaled(out, weight, bias, shape)


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]) -> Tensor:
    """``x * weight + bias``, with both seen in ``shape``."""
    if weight is not None:
        x = ops.mul(x, functions.reshape(weight, shape))
    if bias is not None:
        x = ops.add(x, functions.reshape(bias, shape))
    return x


def _move(running: Tensor | None, batch: Tensor, momentum: float | Tensor, factor: float) -> None:
    """``running`` towards ``factor * batch``, in place."""
    if running is not None:
        newest = ops.mul(functions.reshape(batch, running.shape), momentum * factor)
        running.mul_(1 - momentum).add_(newest)


def _normalized(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    deviations = ops.sub(x, ops.mean(x, dim=dims, keepdim=True))
    variance = ops.mean(ops.square(deviations), dim=dims, keepdim=True)
    return ops.div(deviations, ops.sqrt(ops.add(variance, eps)))


def _last_dims(
    name: str, input: Any, normalized_shape: Any, **scales: Tensor | None
) -> tuple[int, ...]:
    """The dimensions of ``normalized_shape``, counted from the end.

    Raises:
        ValueError: The input does not end in it, or a weight has another shape.
    """
    require_floats(name, input=input)
    shape = functions.sizes_of(name, (normalized_shape,))
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{name}: an input of shape {input.shape} does not end in normalized_shape {shape}"
        )
    for word, given in scales.items():
        if given is not None and given.shape != shape:
            raise ValueError(
                f"{name}: {word} has the shape {given.shape}, not normalized_shape {shape}"
            )
    return tuple(range(-len(shape), 0))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last dimensions.

    Mean and (biased) variance are those of each sample (Ba et al. 2016, "Layer normalization").

    Args:
        input: (..., *normalized_shape).
        normalized_shape: Sizes of the dimensions that are normalized together.
        weight: Of ``normalized_shape``, or None for 1.
        bias: Of ``normalized_shape``, or None for 0.
        eps: Added to the variance.

    Raises:
        ValueError: The shapes do not fit together.
    """
    dims = _last_dims("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    out = _normalized(input, dims, eps)
    return _scaled(out, weight, bias, input.shape[input.ndim - len(dims) :])


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last dimensions (Zhang & Sennrich 2019).

    Arguments and errors are those of :func:`layer_norm`; ``eps`` None is the type's own.
    """
    dims = _last_dims("rms_norm", input, normalized_shape, weight=weight)
    least = float(np.finfo(input.dtype).eps) if eps is None else eps
    power = ops.mean(ops.square(input), dim=dims, keepdim=True)
    out = ops.div(input, ops.sqrt(ops.add(power, least)))
    return _scaled(out, weight, None, input.shape[input.ndim - len(dims) :])


def _require_channels(name: str, channels: int, **scales: Tensor | None) -> None:
    for word, given in scales.items():
        if given is not None and given.shape != (channels,):
            raise ValueError(
                f"{name}: {word} has the shape {given.shape}; expected ({channels},), one number "
                "for each channel"
            )


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each sample's channels normalized in groups, then scaled and shifted (Wu & He 2018).

    Args:
        input: (N, C, ...).
        num_groups: How many; C is a multiple of it.
        weight: (C,), or None for 1.
        bias: (C,), or None for 0.
        eps: Added to the variance.

    Raises:
        ValueError: The shapes do not fit together, or there is one value in each group.
    """
    require_floats("group_norm", input=input)
    if input.ndim < 2:
        raise ValueError(f"group_norm: the input is (N, C, ...), not of shape {input.shape}")
    samples, channels = input.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {channels} channels do not make {num_groups} equal groups")
    _require_channels("group_norm", channels, weight=weight, bias=bias)
    if samples * (channels // num_groups) * math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"group_norm: an input of shape {input.shape} has one value for each group; there must "
            "be more"
        )
    if not input.numel():
        return input.clone()
    grouped = functions.reshape(input, samples, num_groups, -1)
    out = functions.reshape(_normalized(grouped, (2,), eps), input.shape)
    return _scaled(out, weight, bias, (1, channels, *[1] * (input.ndim - 2)))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample normalized, then scaled and shifted (Ulyanov et al. 2016).

    Args:
        input: (N, C, ...) with at least one more dimension.
        running_mean: (C,); moves towards the mean over the samples, or is used.
        running_var: (C,), as ``running_mean``.
        weight: (C,), or None for 1.
        bias: (C,), or None for 0.
        use_input_stats: Whether mean and variance are the input's, or else the running ones.
        momentum: Weight of this batch in the running ones.
        eps: Added to the variance.

    Raises:
        ValueError: The shapes do not fit together, or a channel has one value.
    """
    require_floats("instance_norm", input=input)
    if input.ndim < 3:
        raise ValueError(f"instance_norm: the input is (N, C, L, ...), not of shape {input.shape}")
    channels = input.shape[1]
    _require_channels("instance_norm", channels, weight=weight, bias=bias)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    count = math.prod(input.shape[2:])
    if count < 2:
        raise ValueError(
            f"instance_norm: an input of shape {input.shape} has one value for each channel; in "
            "training there must be more"
        )
    dims = tuple(range(2, input.ndim))
    if running_mean is not None or running_var is not None:
        with no_grad():
            means = ops.mean(input, dim=dims)
            variances = functions.var(input, dims)
            _move(running_mean, ops.mean(means, dim=0), momentum, 1.0)
            _move(running_var, ops.mean(variances, dim=0), momentum, 1.0)
    out = _normalized(input, dims, eps)
    return _scaled(out, weight, bias, (1, channels, *[1] * (input.ndim - 2)))
