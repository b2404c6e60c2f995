"""RMSprop: steps scaled by a running average of squared gradients."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from scratchgan import creation
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, Backend, define
from scratchgan.optim.optimizer import Group, Optimizer


class RMSprop(Optimizer):
    """Steps scaled by a running average of the gradient's square (Tieleman & Hinton 2012).

    With gradient g: v ← α v + (1 − α) g², and p ← p − lr g / (√v + ε); with ``momentum`` the scaled
    gradients enter a velocity; with ``centered`` v is less the square of the mean gradient (Graves
    2013, "Generating sequences with recurrent neural networks", eq. 38 to 41).

    Args:
        params: Tensors, or dicts with ``"params"`` and the options in which this group differs.
        lr: Learning rate.
        alpha: How much of the averages remains in each step.
        eps: ε, added to the denominator.
        weight_decay: Times the parameter, added to the gradient.
        momentum: How much of the velocity remains in each step; 0 for none.
        centered: Whether the square of the mean is taken off.
        capturable: Nothing, as is ``foreach``: in PyTorch they choose how it is computed.
        maximize: Not there; nor is ``differentiable``.

    Raises:
        TypeError: An option is asked for that is not there.
        ValueError: An option is outside its range, or :class:`Optimizer` says why.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        self.refuse(maximize=maximize, differentiable=differentiable)
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "momentum": momentum, "centered": centered})

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """The average of squares, the velocity, and the average of gradients."""
        names = ("square_avg", "momentum_buffer", "grad_avg")
        return {name: creation.zeros_like(parameter) for name in names}

    def completed(self, state: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """PyTorch's state has a count, and only what its options need."""
        return {**new, **{name: value for name, value in state.items() if name != "step"}}

    def hyperparameters(self, group: Group) -> dict[str, float]:
        """See :meth:`Optimizer.hyperparameters`."""
        names = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
        return {name: float(group[name]) for name in names}

    def check(self, group: Group) -> None:
        """Nothing is negative."""
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum"):
            self._require(group, name, group[name] >= 0, "0 or more")

    def update(
        self, kernels: Backend, gradient: Array, out: tuple[Array, ...], **scalars: float
    ) -> None:
        """See :meth:`Optimizer.update`."""
        parameter, square, buffer, mean = out
        lr, alpha, momentum = scalars["lr"], scalars["alpha"], scalars["momentum"]
        step = kernels.empty(parameter.shape, parameter.dtype, like=parameter)
        kernels.decayed(gradient, parameter, weight_decay=scalars["weight_decay"], out=step)
        kernels.moved_square(square, step, decay=alpha, out=square)
        if scalars["centered"]:
            kernels.moved_average(mean, step, decay=alpha, out=mean)
        kernels.scaled_gradient(step, square, mean, eps=scalars["eps"], out=step)
        if momentum:
            kernels.moved_buffer(buffer, step, momentum=momentum, out=buffer)
            step = buffer
        kernels.descended(parameter, step, lr=lr, out=parameter)


@define
def moved_average(average: float, x: float, *, decay: float) -> float:
    """A running average that takes ``x`` in."""
    return decay * average + (1 - decay) * x


@define
def moved_square(average: float, x: float, *, decay: float) -> float:
    """A running average that takes the square of ``x`` in."""
    return decay * average + (1 - decay) * x * x


@define
def scaled_gradient(gradient: float, square: float, mean: float, *, eps: float) -> float:
    """``g / (√(v - m²) + ε)``."""
    return gradient / (math.sqrt(square - mean * mean) + eps)


@define
def moved_buffer(buffer: float, x: float, *, momentum: float) -> float:
    """A velocity that takes ``x`` in."""
    return momentum * buffer + x


@define
def descended(parameter: float, x: float, *, lr: float) -> float:
    """The parameter a step of ``lr`` times ``x`` further down."""
    return parameter - lr * x
