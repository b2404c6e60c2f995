"""SGD: stochastic gradient descent, with momentum."""

from collections.abc import Iterable, Mapping
from typing import Any

from scratchgan import creation
from scratchgan.autograd.tensor import Tensor
from scratchgan.optim.optimizer import Group, Optimizer, count_of


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al. 2013, eq. 1 to 4).

    As in PyTorch, the learning rate stands outside of the velocity: with gradient g,
    v ← momentum v + (1 − dampening) g and p ← p − lr v, or with ``nesterov``
    p ← p − lr (g + momentum v). The first velocity is g.

    Args:
        params: Tensors, or dicts with ``"params"`` and the options in which this group differs.
        lr: Learning rate.
        momentum: How much of the velocity remains in each step; 0 for none.
        dampening: Share of the gradient that does not enter the velocity.
        weight_decay: Times the parameter, added to the gradient.
        nesterov: Look ahead along the velocity.
        maximize: Not there; nor is ``differentiable``.
        foreach: Nothing, as is ``fused``: in PyTorch they choose how it is computed.

    Raises:
        TypeError: An option is asked for that is not there.
        ValueError: An option is outside its range, or :class:`Optimizer` says why.
    """

    kernel = "sgd"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        self.refuse(maximize=maximize, differentiable=differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
            },
        )

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """The velocity, and the count of steps, by which the kernel knows the first."""
        return {"momentum_buffer": creation.zeros_like(parameter), "step": count_of(parameter)}

    def completed(self, state: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """PyTorch's state has a velocity and no count: where there is one, a step was made."""
        if state.get("momentum_buffer") is None:
            return new
        return {"step": creation.ones((), dtype="int64"), **state}

    def hyperparameters(self, group: Group) -> dict[str, float]:
        """The keywords of the kernel ``sgd``."""
        return {
            "lr": float(group["lr"]),
            "momentum": float(group["momentum"]),
            "dampening": float(group["dampening"]),
            "weight_decay": float(group["weight_decay"]),
            "nesterov": bool(group["nesterov"]),
        }

    def check(self, group: Group) -> None:
        """Nothing is negative, and ``nesterov`` has a velocity that it can look along."""
        for name in ("lr", "momentum", "weight_decay"):
            self._require(group, name, group[name] >= 0, "0 or more")
        if group["nesterov"]:
            self._require(group, "momentum", group["momentum"] > 0, "more than 0 with nesterov")
            self._require(group, "dampening", group["dampening"] == 0, "0 with nesterov")
