"""Schedules of the learning rate, under PyTorch's names.

A schedule sets ``group["lr"]`` of each parameter group when it is made and each time its ``step``
is called, once an epoch or once a batch. Under jit a replay takes the new rate.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from scratchgan.jit import context
from scratchgan.missing import refuse_others
from scratchgan.optim.optimizer import Optimizer


class LRScheduler:
    """Base class of schedules; a subclass writes :meth:`get_lr`.

    Args:
        optimizer: Whose learning rates it sets.
        last_epoch: -1 to start; else the last epoch of a run that goes on, whose groups then have
            an ``initial_lr``.

    Attributes:
        base_lrs: The learning rates that the groups started with.
        last_epoch: How often it was called, from 0 on.

    Raises:
        KeyError: A run that goes on has no ``initial_lr``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: takes an Optimizer, not {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError("a group has no initial_lr; a schedule that goes on needs it")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def get_lr(self) -> list[float]:
        """The learning rate of each group for ``last_epoch``."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr method; write one")

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or to a given one."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups by now."""
        return [context.shown(group)["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All state that a later run needs to go on; functions are not in it."""
        return {
            name: value
            for name, value in vars(self).items()
            if name != "optimizer" and not callable(value) and not _holds_functions(value)
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        vars(self).update(state_dict)


def _holds_functions(value: Any) -> bool:
    return isinstance(value, list) and any(map(callable, value))


class LambdaLR(LRScheduler):
    """The first rate times ``lr_lambda(epoch)``: one function, or one for each group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {count} groups")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :meth:`LRScheduler.get_lr`."""
        epoch = self.last_epoch
        return [lr * f(epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """The rate times ``gamma`` every ``step_size`` epochs.

    Raises:
        ValueError: ``step_size`` is less than 1.
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size is {step_size}; it must be 1 or more")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :meth:`LRScheduler.get_lr`."""
        factor = self.gamma ** (self.last_epoch // self.step_size)
        return [lr * factor for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """The rate times ``gamma`` at each of the epochs ``milestones``."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :meth:`LRScheduler.get_lr`."""
        passed = sum(epoch <= self.last_epoch for epoch in self.milestones)
        return [lr * self.gamma**passed for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """The rate times ``gamma`` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :meth:`LRScheduler.get_lr`."""
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """A factor of the rate that goes in a line from one number to another, and stays there.

    Raises:
        ValueError: ``start_factor`` is not in (0, 1], or ``total_iters`` is less than 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor is {start_factor}; it must be in (0, 1]")
        if total_iters < 1:
            raise ValueError(f"LinearLR: total_iters is {total_iters}; it must be 1 or more")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :meth:`LRScheduler.get_lr`."""
        done = min(self.last_epoch, self.total_iters) / self.total_iters
        factor = self.start_factor + (self.end_factor - self.start_factor) * done
        return [lr * factor for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the first rate to ``eta_min`` (Loshchilov & Hutter 2017, eq. 5).

    After ``T_max`` epochs it rises again.

    Raises:
        ValueError: ``T_max`` is less than 1.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max is {T_max}; it must be 1 or more")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :meth:`LRScheduler.get_lr`."""
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * share for lr in self.base_lrs]


class ReduceLROnPlateau:
    """The rate times ``factor`` when a measure has not got better for ``patience`` epochs.

    Args:
        optimizer: Whose learning rates it sets.
        mode: ``"min"`` if the measure is to fall, ``"max"`` if it is to rise.
        factor: Below 1.
        patience: Epochs without a better one that are let pass.
        threshold: By what share it must be better to count.
        threshold_mode: ``"rel"``, a share, or ``"abs"``, a difference.
        cooldown: Epochs after a change in which nothing counts.
        min_lr: Least rate.
        eps: Least change of a rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor is {factor}; it must be below 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: mode {mode!r} and threshold_mode {threshold_mode!r}; they are "
                "min or max, and rel or abs"
            )
        self.optimizer = optimizer
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.patience, self.cooldown = factor, patience, cooldown
        self.min_lr, self.eps = min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Look at the measure of an epoch."""
        measure = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                lower = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, measure: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs" or math.isinf(self.best):
            needed = 0.0 if math.isinf(self.best) else self.threshold
        else:
            needed = self.threshold * abs(self.best)
        return sign * measure < sign * self.best - needed

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups by now."""
        return [context.shown(group)["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All state that a later run needs to go on."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        vars(self).update(state_dict)


refuse_others(__name__)
