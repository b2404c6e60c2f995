"""The optimizers, under PyTorch's names."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from scratchgan import creation
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, Backend
from scratchgan.backend.scalar import define
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

    kernel = "adam"

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

    def check(self, group: Group) -> None:
        """Nothing is negative, and the betas are below 1."""
        for name in ("lr", "eps", "weight_decay"):
            self._require(group, name, group[name] >= 0, "0 or more")
        within = len(group["betas"]) == 2 and all(0 <= beta < 1 for beta in group["betas"])
        self._require(group, "betas", within, "two numbers from 0 to below 1")


# --- Composed of elementwise kernels --------------------------------------------------------


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

    def update(
        self, kernels: Backend, gradient: Array, out: tuple[Array, ...], **scalars: float
    ) -> None:
        """See :meth:`Optimizer.update`."""
        decay = scalars.pop("weight_decay")
        kernels.weights_decayed(out[0], lr=scalars["lr"], weight_decay=decay, out=out[0])
        kernels.adam(gradient, weight_decay=0.0, out=out, **scalars)


@define
def decayed(gradient: float, parameter: float, *, weight_decay: float) -> float:
    """The gradient of a loss to which ``weight_decay * parameter**2 / 2`` was added."""
    return gradient + weight_decay * parameter


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
