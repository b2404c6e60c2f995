"""Adam, and AdamW, whose weights decay apart from the gradient."""

import itertools
from collections.abc import Iterable
from typing import Any

from scratchgan import creation
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, Backend, define
from scratchgan.optim.optimizer import Group, Optimizer, count_of


class Adam(Optimizer):
    """Steps scaled by running averages of the gradient and its square (Kingma & Ba 2015, alg. 1).

    Args:
        params: Tensors, or dicts with ``"params"`` and the options in which this group differs.
        lr: Step size α.
        betas: How much of the averages remains in each step, β1 and β2.
        eps: ε, added to the denominator.
        weight_decay: Times the parameter, added to the gradient.
        amsgrad: Not there; nor are ``maximize``, ``differentiable`` and
            ``decoupled_weight_decay``, for which there is :class:`AdamW`.
        foreach: Nothing, as are ``capturable`` and ``fused``: in PyTorch they choose how it is
            computed.

    Raises:
        TypeError: An option is asked for that is not there.
        ValueError: An option is outside its range, or :class:`Optimizer` says why.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        unavailable = {"amsgrad": amsgrad, "maximize": maximize, "differentiable": differentiable}
        self.refuse(**unavailable, decoupled_weight_decay=decoupled_weight_decay)
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """The averages m and v, and the count of steps t."""
        return {
            "exp_avg": creation.zeros_like(parameter),
            "exp_avg_sq": creation.zeros_like(parameter),
            "step": count_of(parameter),
        }

    def hyperparameters(self, group: Group) -> dict[str, float]:
        """The keywords of the kernel ``adam``."""
        beta1, beta2 = group["betas"]
        return {
            "lr": float(group["lr"]),
            "beta1": float(beta1),
            "beta2": float(beta2),
            "eps": float(group["eps"]),
            "weight_decay": float(group["weight_decay"]),
        }

    def update_all(
        self,
        kernels: Backend,
        gradients: list[Array],
        outs: list[tuple[Array, ...]],
        **scalars: float,
    ) -> None:
        """One call of the kernel for all of them."""
        kernels.adam(*gradients, out=tuple(itertools.chain(*outs)), **scalars)

    def check(self, group: Group) -> None:
        """Nothing is negative, and the betas are below 1."""
        for name in ("lr", "eps", "weight_decay"):
            self._require(group, name, group[name] >= 0, "0 or more")
        within = len(group["betas"]) == 2 and all(0 <= beta < 1 for beta in group["betas"])
        self._require(group, "betas", within, "two numbers from 0 to below 1")


@define
def weights_decayed(parameter: float, *, lr: float, weight_decay: float) -> float:
    """A weight after it shrank by a share of ``lr * weight_decay``."""
    return parameter * (1 - lr * weight_decay)


class AdamW(Adam):
    """Adam, with weights that shrink by themselves (Loshchilov & Hutter 2019, algorithm 2).

    Args:
        params: As in :class:`Adam`, as are the others.
        lr: Step size α.
        betas: How much of the averages remains in each step, β1 and β2.
        eps: ε, added to the denominator.
        weight_decay: Times ``lr``, the share of each weight that goes in a step.
        amsgrad: Not there; nor are ``maximize`` and ``differentiable``.
        maximize: See ``amsgrad``.
        foreach: Nothing, as are ``capturable`` and ``fused``.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        unavailable = {"amsgrad": amsgrad, "maximize": maximize, "differentiable": differentiable}
        super().__init__(params, lr, betas, eps, weight_decay, **unavailable)

    def update_all(
        self,
        kernels: Backend,
        gradients: list[Array],
        outs: list[tuple[Array, ...]],
        **scalars: float,
    ) -> None:
        """See :meth:`Optimizer.update_all`."""
        decay = scalars.pop("weight_decay")
        for parameter, *_ in outs:
            kernels.weights_decayed(parameter, lr=scalars["lr"], weight_decay=decay, out=parameter)
        super().update_all(kernels, gradients, outs, weight_decay=0.0, **scalars)
