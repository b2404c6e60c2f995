"""Adagrad: steps scaled by the sum of all squared gradients."""

import math
from collections.abc import Iterable
from typing import Any

from scratchgan import creation
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, Backend, define
from scratchgan.optim.optimizer import Group, Optimizer


class Adagrad(Optimizer):
    """Steps scaled by the root of the sum of all squared gradients (Duchi et al. 2011, fig. 1).

    Args:
        params: Tensors, or dicts with ``"params"`` and the options in which this group differs.
        lr: Learning rate.
        lr_decay: In step t it is divided by 1 + (t − 1) ``lr_decay``.
        weight_decay: Times the parameter, added to the gradient.
        initial_accumulator_value: What the sums are at first.
        eps: ε, added to the denominator.
        foreach: Nothing, as is ``fused``: in PyTorch they choose how it is computed.
        maximize: Not there; nor is ``differentiable``.

    Raises:
        TypeError: An option is asked for that is not there.
        ValueError: An option is outside its range, or :class:`Optimizer` says why.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        self.refuse(maximize=maximize, differentiable=differentiable)
        self._first = float(initial_accumulator_value)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
            },
        )

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """The sum of squares, and the count of steps, in the parameter's type."""
        total = creation.full_like(parameter, self._first)
        return {"sum": total, "step": creation.zeros_like(parameter.detach().sum())}

    def hyperparameters(self, group: Group) -> dict[str, float]:
        """See :meth:`Optimizer.hyperparameters`."""
        names = ("lr", "lr_decay", "weight_decay", "eps")
        return {name: float(group[name]) for name in names}

    def check(self, group: Group) -> None:
        """Nothing is negative."""
        names = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        for name in names:
            self._require(group, name, group[name] >= 0, "0 or more")

    def update(
        self, kernels: Backend, gradient: Array, out: tuple[Array, ...], **scalars: float
    ) -> None:
        """See :meth:`Optimizer.update`."""
        parameter, total, count = out
        decay = scalars.pop("weight_decay")
        step = kernels.empty(parameter.shape, parameter.dtype, like=parameter)
        kernels.decayed(gradient, parameter, weight_decay=decay, out=step)
        kernels.counted(count, out=count)
        kernels.added_square(total, step, out=total)
        kernels.adagrad_step(parameter, step, total, count, out=parameter, **scalars)


@define
def added_square(total: float, x: float) -> float:
    """A sum of squares with one more."""
    return total + x * x


@define
def adagrad_step(
    parameter: float,
    gradient: float,
    total: float,
    step: float,
    *,
    lr: float,
    lr_decay: float,
    eps: float,
) -> float:
    """The parameter after step number ``step``."""
    rate = lr / (1 + (step - 1) * lr_decay)
    return parameter - rate * gradient / (math.sqrt(total) + eps)


@define
def counted(step: float) -> float:
    """One more."""
    return step + 1
