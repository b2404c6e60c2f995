"""Normalization: modules that bring numbers to mean 0 and variance 1.

``device`` and ``dtype`` are those of the parameters and buffers.
"""

import warnings
from collections.abc import Sequence

from numpy.typing import DTypeLike

from scratchgan import creation, dtypes, functions, ops
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import functional, init
from scratchgan.nn.module import Module
from scratchgan.nn.parameter import Parameter


def _scale_and_shift(
    shape: tuple[int, ...],
    has_scale: bool,
    has_shift: bool,
    device: str | None,
    dtype: DTypeLike | None,
) -> tuple[Parameter | None, Parameter | None]:
    """Ones and zeros, or None."""
    scale = Parameter(creation.ones(shape, dtype=dtype, device=device)) if has_scale else None
    shift = Parameter(creation.zeros(shape, dtype=dtype, device=device)) if has_shift else None
    return scale, shift


class _Running(Module):
    """The base of BatchNorm1d and InstanceNorm1d: scale, shift, and running statistics."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: str | None,
        dtype: DTypeLike | None,
        bias: bool,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight, self.bias = _scale_and_shift(
            (num_features,), affine, affine and bias, device, dtype
        )
        mean = var = count = None
        if track_running_stats:
            mean = creation.zeros(num_features, dtype=dtype, device=device)
            var = creation.ones(num_features, dtype=dtype, device=device)
            count = creation.zeros((), dtype=dtypes.int64, device=device)
        self.register_buffer("running_mean", mean)
        self.register_buffer("running_var", var)
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """The running statistics as they were at first, in place."""
        for buffer, value in (
            (self.running_mean, 0.0),
            (self.running_var, 1.0),
            (self.num_batches_tracked, 0),
        ):
            if buffer is not None:
                init.constant_(buffer, value)

    def reset_parameters(self) -> None:
        """All as it was at first, in place."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """Size and options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_Running):
    """Each channel brought to mean 0 and variance 1, then scaled and shifted by what is learned.

    In training, mean and variance are those of the batch, and running averages of them are kept;
    after :meth:`eval` the running averages are used (Ioffe & Szegedy 2015, "Batch normalization",
    algorithms 1 and 2).

    Args:
        num_features: Number of channels C.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running averages; None for the plain average of
            all batches.
        affine: Whether to scale and shift.
        track_running_stats: Whether there are running averages; without them those of the batch are
            always used.
        device: See above.
        dtype: See above.
        bias: Whether to shift, with ``affine``.

    Attributes:
        weight: Scale, (C,), at first 1; or None.
        bias: Shift, (C,), at first 0; or None.
        running_mean: Buffer, (C,), at first 0; or None.
        running_var: Buffer, (C,), at first 1, of the unbiased variances; or None.
        num_batches_tracked: Buffer, int64: how many batches the averages have seen; or None.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """(N, C) or (N, C, L), normalized over all axes but C."""
        if input.ndim not in (2, 3):
            raise ValueError(
                f"batch_norm: an input of shape {input.shape} has {input.ndim} dimensions; "
                "expected (N, C) or (N, C, L)"
            )
        if input.shape[1] != self.num_features:
            raise ValueError(
                f"batch_norm: an input of shape {input.shape} does not fit "
                f"running_mean of shape ({self.num_features},); expected (N, C, ...) and (C,)"
            )
        count = self.num_batches_tracked
        momentum: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if self.momentum is None and self.running_mean is not None and count is not None:
            with no_grad():
                momentum = ops.div(1.0, ops.add(count, 1).to(self.running_mean.dtype))
        has_statistics = self.running_mean is not None and self.running_var is not None
        out = functional.batch_norm(
            input,
            self.running_mean if has_statistics else None,
            self.running_var if has_statistics else None,
            self.weight,
            self.bias,
            self.training or not has_statistics,
            momentum,
            self.eps,
        )
        if self.training and count is not None:
            with no_grad():
                count.add_(1)
        return out


class InstanceNorm1d(_Running):
    """Each channel of each sample brought to mean 0 and variance 1 (Ulyanov et al. 2016).

    Args:
        num_features: Number of channels C.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running averages.
        affine: Whether to scale and shift by what is learned.
        track_running_stats: Whether there are running averages, which are used after :meth:`eval`.
        device: See above.
        dtype: See above.
        bias: Whether to shift, with ``affine``.

    Attributes:
        weight: Scale, (C,), at first 1; or None.
        bias: Shift, (C,), at first 0; or None.
        running_mean: Buffer, (C,); or None.
        running_var: Buffer, (C,); or None.
        num_batches_tracked: Buffer, int64, which PyTorch leaves at 0; or None.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L), or one sample (C, L), normalized over L."""
        if input.ndim not in (2, 3):
            raise ValueError(
                f"instance_norm: an input of shape {input.shape} has {input.ndim} dimensions; "
                "expected (N, C, L) or (C, L)"
            )
        if input.shape[-2] != self.num_features:
            message = (
                f"instance_norm: an input of shape {input.shape} does not have num_features = "
                f"{self.num_features} channels"
            )
            if self.affine:
                raise ValueError(message)
            warnings.warn(message, stacklevel=3)
        batch = functions.unsqueeze(input, 0) if input.ndim == 2 else input
        momentum = 0.0 if self.momentum is None else self.momentum
        out = functional.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            momentum,
            self.eps,
        )
        return functions.squeeze(out, 0) if input.ndim == 2 else out


class GroupNorm(Module):
    """Each sample's channels normalized in groups, then scaled and shifted (Wu & He 2018).

    Args:
        num_groups: How many groups.
        num_channels: Number of channels C, a multiple of it.
        eps: Added to the variance.
        affine: Whether to scale and shift by what is learned.
        device: See above.
        dtype: See above.
        bias: Whether to shift, with ``affine``.

    Attributes:
        weight: Scale, (C,), at first 1; or None.
        bias: Shift, (C,), at first 0; or None.

    Raises:
        ValueError: The channels do not make equal groups.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: {num_channels} channels do not make {num_groups} equal groups"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.weight, self.bias = _scale_and_shift(
            (num_channels,), affine, affine and bias, device, dtype
        )

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...)."""
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes and options."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LayerNorm(Module):
    """The last dimensions of each sample brought to mean 0 and variance 1 (Ba et al. 2016).

    Args:
        normalized_shape: Sizes of the last dimensions, or of the last one.
        eps: Added to the variance.
        elementwise_affine: Whether to scale and shift by what is learned.
        bias: Whether to shift, with ``elementwise_affine``.
        device: See above.
        dtype: See above.

    Attributes:
        weight: Scale, of ``normalized_shape``, at first 1; or None.
        bias: Shift, of ``normalized_shape``, at first 0; or None.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = functions.sizes_of("LayerNorm", (normalized_shape,))
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight, self.bias = _scale_and_shift(
            self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype
        )

    def forward(self, input: Tensor) -> Tensor:
        """(..., *normalized_shape)."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Sizes and options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Module):
    """The last dimensions divided by the root of their mean square (Zhang & Sennrich 2019).

    Args:
        normalized_shape: Sizes of the last dimensions, or of the last one.
        eps: Added to the mean square; None for the type's own.
        elementwise_affine: Whether to scale by what is learned.
        device: See above.
        dtype: See above.

    Attributes:
        weight: Scale, of ``normalized_shape``, at first 1; or None.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = functions.sizes_of("RMSNorm", (normalized_shape,))
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight, _ = _scale_and_shift(
            self.normalized_shape, elementwise_affine, False, device, dtype
        )

    def forward(self, input: Tensor) -> Tensor:
        """(..., *normalized_shape)."""
        return functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Sizes and options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
