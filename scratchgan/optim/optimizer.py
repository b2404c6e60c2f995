"""The base of all optimizers, which change parameters in place by their gradients.

The arithmetic of a step stands in the backend, as kernels. Here is the rest: parameter groups, the
arrays that a kernel keeps from step to step, and the hyperparameters, read from the group anew in
each step, so that a schedule may change ``group["lr"]``.
"""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scratchgan import dtypes
from scratchgan.autograd import enable_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import Array, Backend, define, is_own, kernels_for, opaque
from scratchgan.jit import context

Group = dict[str, Any]
#: Kind of array, shape and type.
Layout = tuple[type, tuple[int, ...], Any]


class Optimizer:
    """Base class: what all optimizers share.

    A subclass writes :meth:`new_state`, :meth:`hyperparameters` and :meth:`check`, and names its
    :attr:`kernel`, or writes :meth:`update` or :meth:`update_all`.

    Args:
        params: Tensors, or dicts with ``"params"`` and the options in which this group differs.
        defaults: The options of groups that do not give them.

    Attributes:
        param_groups: A dict for each group: ``"params"``, its tensors, and its options.
        state: For each parameter, the tensors by name that the kernel keeps. They are made at
            once and changed in place from then on.

    Raises:
        ValueError: There are no parameters, one is given twice, is no leaf or cannot be written,
            or an option is outside its range.
        TypeError: ``params`` holds something else than tensors or dicts.
    """

    #: Its name in the backends; it takes a gradient, the hyperparameters by keyword, and
    #: ``out=(parameter, *state)``.
    kernel: str

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        #: For each parameter the names and layouts of its gradient, of it and of its state, in the
        #: order of the kernel's arguments, when that was made.
        self._layouts: dict[Tensor, tuple[tuple[str, Layout], ...]] = {}
        if isinstance(params, Tensor | Mapping):
            raise TypeError(
                f"{self._name}: params is one {type(params).__name__}; put it in a list"
            )
        given = list(params)
        if not given:
            raise ValueError(f"{self._name}: there are no parameters to optimize")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def new_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """Initial optimizer state of ``parameter``, in the kernel's order."""
        raise NotImplementedError(f"{self._name} has no new_state method; write one")

    def hyperparameters(self, group: Group) -> dict[str, float]:
        """The kernel's keywords for the parameters of ``group``, at this moment."""
        raise NotImplementedError(f"{self._name} has no hyperparameters method; write one")

    def update(
        self, kernels: Backend, gradient: Array, out: tuple[Array, ...], **scalars: float
    ) -> None:
        """Change ``out``, a parameter and its state, by its gradient.

        Under jit, one of your own is called again in each replay, and may compute with NumPy.

        Args:
            kernels: What computes on these arrays.
            gradient: Of the parameter.
            out: The parameter, and its state in the order of :meth:`new_state`.
            scalars: What :meth:`hyperparameters` gives.
        """
        if not hasattr(self, "kernel"):
            raise NotImplementedError(
                f"{self._name} has neither a kernel nor an update method; name one, or write it"
            )
        getattr(kernels, self.kernel)(gradient, out=out, **scalars)

    def update_all(
        self,
        kernels: Backend,
        gradients: list[Array],
        outs: list[tuple[Array, ...]],
        **scalars: float,
    ) -> None:
        """Do as :meth:`update` for several parameters of one type."""
        for gradient, out in zip(gradients, outs, strict=True):
            self.update(kernels, gradient, out, **scalars)

    def _checked(self, state: Any) -> dict[str, Tensor]:
        """``state``, if it is what :meth:`new_state` should give."""
        is_state = isinstance(state, dict) and all(isinstance(x, Tensor) for x in state.values())
        if not is_state:
            raise TypeError(
                f"{self._name}.new_state: gives a dict of tensors by name, not {state!r:.80}"
            )
        found: dict[str, Tensor] = state
        return found

    def check(self, group: Group) -> None:
        """Raise a ValueError if an option of ``group`` is outside its range."""

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimize more parameters: ``"params"``, a tensor or several, and options of their own."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{self._name}: a group is a dict with 'params', not {group!r:.80}")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if not params:
            raise ValueError(f"{self._name}: a group has no parameters")
        complete = {**self.defaults, **group, "params": params}
        self.check(complete)
        states: dict[Tensor, dict[str, Tensor]] = {}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{self._name}: optimizes tensors, not {type(parameter).__name__}")
            if parameter in self.state or parameter in states:
                raise ValueError(
                    f"{self._name}: a parameter of shape {parameter.shape} is given twice"
                )
            if not parameter.is_leaf:
                raise ValueError(
                    f"{self._name}: a tensor of shape {parameter.shape} is the result of an "
                    "operation and cannot be optimized; give the leaf that it was made from"
                )
            if not _can_be_written(parameter.array):
                raise ValueError(
                    f"{self._name}: a parameter of shape {parameter.shape} lies in memory that "
                    "cannot be written (a read-only array's, or an expanded tensor's); give "
                    "x.detach().clone().requires_grad_()"
                )
            states[parameter] = self._checked(self.new_state(parameter))
        self.state.update(states)
        for parameter, state in states.items():
            own = {"its gradient": parameter, "the parameter": parameter, **state}
            self._layouts[parameter] = tuple([(name, _layout(x.array)) for name, x in own.items()])
        self.param_groups.append(complete)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place.

        Args:
            closure: Computes the loss and its gradients, and is called first.

        Returns:
            What ``closure`` gives.

        Raises:
            RuntimeError: A parameter, its gradient or its state is not what it was when the
                optimizer was made; nothing of its group was changed.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            hyperparameters = context.dynamic_scalars(
                functools.partial(self._hyperparameters, group), group
            )
            alike: dict[Any, tuple[list[Array], list[tuple[Array, ...]]]]
            alike = defaultdict(lambda: ([], []))
            changed = []
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is not None:
                    gradient_array, *out = self._arrays(parameter, gradient)
                    gradients, outs = alike[type(gradient_array), gradient_array.dtype]
                    gradients.append(gradient_array)
                    outs.append(tuple(out))
                    changed.append(parameter)
            for parameter in changed:  # before it is, for Ctrl-C may end it halfway
                parameter.mark_changed()
            for (kind, _), (gradients, outs) in alike.items():
                self._update(kind, gradients, outs, hyperparameters)
        return loss

    def _hyperparameters(self, group: Group) -> dict[str, Any]:
        found = self.hyperparameters(group)
        if not isinstance(found, dict):
            raise TypeError(
                f"{self._name}.hyperparameters: gives a dict of options by name, not {found!r:.80}"
            )
        return found

    def _update(
        self,
        kind: type,
        gradients: list[Array],
        outs: list[tuple[Array, ...]],
        scalars: dict[str, Any],
    ) -> None:
        """Call :meth:`update_all`; one that is a user's is called again in jit's replays."""
        if is_own(self.update) and is_own(self.update_all):
            self.update_all(kernels_for[kind], gradients, outs, **scalars)
            return
        sizes = [len(arrays) for arrays in outs]

        def update(out: tuple[Array, ...], **scalars: Any) -> None:
            arrays = iter(out)
            gradients, *parts = (
                list(itertools.islice(arrays, size)) for size in (len(sizes), *sizes)
            )
            self.update_all(kernels_for[kind], gradients, [*map(tuple, parts)], **scalars)

        # It may change the gradients too, as it adds a decay to them.
        changed = (*gradients, *itertools.chain(*outs))
        opaque.call_in_place(
            f"{type(self).__module__}.{self._name}.update", update, changed, scalars
        )

    def _arrays(self, parameter: Tensor, gradient: Tensor) -> list[Array]:
        """The arrays of a gradient, its parameter and its state, in the kernel's order.

        Raises:
            RuntimeError: They are not what they were when the state was made.
        """
        wanted = dict(self._layouts[parameter])
        tensors = {"its gradient": gradient, "the parameter": parameter, **self.state[parameter]}
        if not _can_be_written(parameter.array):
            raise RuntimeError(
                f"{self._name}.step: a parameter of shape {parameter.shape} lies in memory that "
                "cannot be written (a read-only array's, or an expanded tensor's)"
            )
        if tensors.keys() == wanted.keys():  # the state may be in another order
            arrays = [tensors[name].array for name in wanted]
            if [(type(x), x.shape, x.dtype) for x in arrays] == [*wanted.values()]:
                return arrays
        found = {name: _layout(x.array) for name, x in tensors.items()}
        number = next(i for i, known in enumerate(self.state) if known is parameter)
        faults = [f"there is no {name}" for name in wanted if name not in found]
        faults += [f"{name} is unknown" for name in found if name not in wanted]
        faults += [
            f"{name} is {_in_words(found[name])}, not {_in_words(layout)}"
            for name, layout in wanted.items()
            if name in found and found[name] != layout
        ]
        raise RuntimeError(
            f"{self._name}.step: the state of parameter {number} does not fit it: "
            f"{'; '.join(faults)}. Make an optimizer after its module was converted or moved"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; or with ``set_to_none=False`` fill them with zeros, in place."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs to go on, in PyTorch's layout.

        Returns:
            ``"state"``: for each parameter, numbered through the groups, its tensors by name,
            which share memory with the optimizer; ``"param_groups"``: the options of each group,
            with the parameters' numbers as ``"params"``.
        """
        number = {parameter: i for i, parameter in enumerate(self.state)}
        groups = [
            {**group, "params": [number[parameter] for parameter in group["params"]]}
            for group in map(context.shown, self.param_groups)
        ]
        return {"state": dict(enumerate(map(dict, self.state.values()))), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; tensors are copied into those here.

        A parameter without an entry in ``"state"`` starts anew.

        Raises:
            ValueError: Groups, parameters, names or shapes differ from those here. All faults are
                listed, and nothing was changed.
        """
        loaded = state_dict["param_groups"]
        sizes, given_sizes = (
            [len(group["params"]) for group in groups] for groups in (self.param_groups, loaded)
        )
        if given_sizes != sizes:
            raise ValueError(
                f"{self._name}.load_state_dict: the numbers of parameters in the groups are "
                f"{given_sizes}, expected {sizes}"
            )
        numbers = [n for group in loaded for n in group["params"]]
        fresh = [self.new_state(parameter) for parameter in self.state]
        given = [
            self.completed(state_dict["state"].get(n, {}), new)
            for n, new in zip(numbers, fresh, strict=True)
        ]
        faults = [
            f"parameter {n}: {_shapes(state)}, expected {_shapes(new)}"
            for n, state, new in zip(numbers, given, fresh, strict=True)
            if _shapes(state) != _shapes(new)
        ]
        if faults:
            raise ValueError(
                f"{self._name}.load_state_dict: the state does not fit:\n  " + "\n  ".join(faults)
            )
        groups = [
            {**group, **options, "params": group["params"]}
            for group, options in zip(self.param_groups, loaded, strict=True)
        ]
        for group in groups:
            self.check(group)
        for group, options in zip(self.param_groups, groups, strict=True):
            group.update(options)
        for state, source in zip(self.state.values(), given, strict=True):
            for name, tensor in state.items():
                tensor.copy_(source[name])

    def completed(self, state: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """The loaded state of a parameter, or ``new``, its first one, if there is none."""
        return state or new

    def refuse(self, **options: Any) -> None:
        """Raise a TypeError if an option of PyTorch's that is not there is asked for."""
        for name, value in options.items():
            if value:
                raise TypeError(f"{self._name}: the option {name} is not there; leave it out")

    def _require(self, group: Group, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(f"{self._name}: {name} is {group[name]}; it must be {what}")

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(map(context.shown, self.param_groups)):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _layout(array: Array) -> Layout:
    return type(array), array.shape, array.dtype


def _can_be_written(array: Array) -> bool:
    return getattr(array.flags, "writeable", True)  # CuPy's always can


def _in_words(layout: Layout) -> str:
    kind, shape, dtype = layout
    return f"a {kind.__module__}.{kind.__name__} of shape {shape} and type {dtype}"


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(state[name].shape) for name in sorted(state)}


def count_of(parameter: Tensor) -> Tensor:
    """A step count where the parameter lies, at 0."""
    kernels = kernels_for[type(parameter.array)]
    return Tensor(kernels.from_host(0, dtypes.int64, like=parameter.array))


@define
def decayed(gradient: float, parameter: float, *, weight_decay: float) -> float:
    """The gradient of a loss to which ``weight_decay * parameter**2 / 2`` was added."""
    return gradient + weight_decay * parameter
