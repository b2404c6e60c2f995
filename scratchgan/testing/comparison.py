"""All derivatives of a function, by its tape and by another reference, side by side."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from scratchgan import autograd, creation
from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.testing.complex_step import complex_step
from scratchgan.testing.differences import Slopes, slopes

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
#: An input's position, an index in it (None: a direction), and the derivatives both ways.
Row = tuple[int, tuple[int, ...] | None, Array, Slopes]


class GradcheckError(RuntimeError):
    """A gradient is not what an independent reference says it is."""


class Reference(NamedTuple):
    """Another way to a derivative, and how closely the tape must agree with it.

    Attributes:
        method: Differences for the whole Jacobian, or along one random direction of each input;
            or complex steps.
        eps: Half the distance between the two points of a difference.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
    """

    method: Literal["differences", "directional differences", "complex steps"]
    eps: float
    atol: float
    rtol: float


class Entry(NamedTuple):
    """One derivative: where it stands, and what the two ways say."""

    input: int
    at: tuple[int, ...] | None  # None in fast mode: a direction and not an element
    output: int
    output_at: tuple[int, ...] | None
    analytical: float
    numerical: float
    left: float
    right: float
    is_jump: bool


class Comparison(NamedTuple):
    """The result of :func:`compare`.

    Attributes:
        fn: The function.
        inputs: Its inputs.
        names: What errors call them.
        results: What errors call an output.
        wrong: Derivatives that disagree, the worst first.
        kinks: Derivatives that do not exist.
        compared: How many derivatives were compared.
        error: The largest of ``|analytical - numerical| / max(1, |numerical|)``.
        reference: What the tape was compared with.
    """

    fn: Function
    inputs: tuple[Any, ...]
    names: tuple[str, ...]
    wrong: list[Entry]
    kinks: list[Entry]
    compared: int
    error: float
    reference: Reference
    results: tuple[str, ...] = ()

    def result(self, entry: Entry) -> str:
        """The name of ``entry``'s output in errors."""
        return self.results[entry.output] if self.results else f"output {entry.output}"


def compare(fn: Function, inputs: tuple[Any, ...], reference: Reference) -> Comparison:
    """Compare the derivatives of ``fn`` with those of ``reference``; nothing is raised."""
    if not (reference.eps > 0 and reference.atol >= 0 and reference.rtol >= 0):
        raise ValueError(
            "gradcheck: eps must be above 0, atol and rtol at least 0, not "
            f"eps={reference.eps}, atol={reference.atol}, rtol={reference.rtol}"
        )
    with np.errstate(all="ignore"):  # differences may step out of the function's domain
        return _compared(fn, inputs, reference)


def _compared(fn: Function, inputs: tuple[Any, ...], reference: Reference) -> Comparison:
    taped = _Taped(fn, inputs)
    wrong: list[Entry] = []
    kinks: list[Entry] = []
    compared, error = 0, 0.0
    for position, index, analytical, found in _rows(taped, reference):
        low, high = np.minimum(found.left, found.right), np.maximum(found.left, found.right)
        # Half of the line may lie beyond a kink so near that the sides still agree.
        is_smooth = np.isfinite(high - low) & ~found.is_kink & ~found.is_jump
        doubt = np.where(is_smooth, high - low, 0) / 2
        allowed = reference.atol + reference.rtol * np.abs(found.central) + doubt
        # At a kink every slope between the two is a fair answer, but no other is.
        outside = np.maximum(low - analytical, analytical - high)
        difference = np.where(found.is_kink, outside, np.abs(analytical - found.central))
        agree = (difference <= allowed) | (analytical == found.central)
        compared += analytical.size
        scaled = difference / np.maximum(1, np.abs(found.central))
        scaled = np.where(analytical == found.central, 0, scaled)  # also where both are infinite
        error = max(error, float(np.max(scaled, initial=0)))
        for column in np.flatnonzero(~agree | found.is_kink).tolist():
            output, output_index = taped.output_at(column) if index is not None else (0, None)
            tape, central, left, right = (float(x[column]) for x in (analytical, *found[:3]))
            is_jump = bool(found.is_jump[column])
            place = position, index, output, output_index
            entry = Entry(*place, tape, central, left, right, is_jump)
            (kinks if agree[column] else wrong).append(entry)
    wrong.sort(key=_badness)
    names = input_names(fn, len(inputs))
    return Comparison(fn, inputs, names, wrong, kinks, compared, error, reference)


def _badness(entry: Entry) -> float:
    difference = abs(entry.analytical - entry.numerical) / max(1.0, abs(entry.numerical))
    return -difference if np.isfinite(difference) else -np.inf


def call_of(primitive: Primitive, keywords: dict[str, Any]) -> Function:
    """The primitive as a function of its inputs alone, whose parameters have their names."""

    def function(*inputs: Any) -> Any:
        return primitive(*inputs, **keywords)

    kind = inspect.Parameter.POSITIONAL_ONLY
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in primitive.inputs]
    )
    return function


def gradient_function(fn: Function, count: int) -> Function:
    """The function from ``count`` inputs of ``fn`` and its outputs' gradients to the inputs'."""

    def gradients(*arguments: Any) -> tuple[Tensor, ...]:
        inputs, seeds = arguments[:count], arguments[count:]
        wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
        outputs = [y for y in as_tuple(fn(*inputs)) if y.requires_grad]
        found = autograd.grad(outputs, wanted, seeds, create_graph=True, allow_unused=True)
        pairs = zip(wanted, found, strict=True)
        return tuple(
            creation.zeros_like(x) if gradient is None else gradient for x, gradient in pairs
        )

    return gradients


class _Taped:
    """A function run once on its inputs, and how to run it again on others."""

    def __init__(self, fn: Function, inputs: tuple[Any, ...]) -> None:
        self.fn = fn
        self.inputs = inputs
        self.checked = [
            i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad
        ]
        if not self.checked:
            raise ValueError("gradcheck: no input requires a gradient, so there is none to check")
        for i in self.checked:
            if inputs[i].dtype != np.float64:
                raise ValueError(
                    f"gradcheck: input {i} is {inputs[i].dtype}, in which differences resolve "
                    "too little; make it .double() before requires_grad_()"
                )
        # Leaves of their own: inputs may be one tensor given twice, or lie on a tape themselves.
        self.leaves = [inputs[i].detach().requires_grad_() for i in self.checked]
        self.arrays = [np.array(_host(leaf), order="C") for leaf in self.leaves]
        outputs = self._run(self.leaves)
        self.kept = [k for k, y in enumerate(outputs) if y.requires_grad]
        if not self.kept:  # then all gradients are said to be zero
            self.kept = [k for k, y in enumerate(outputs) if y.dtype.kind == "f"]
        self.outputs = [outputs[k] for k in self.kept]
        self.middle = self.values(self.arrays)
        for at in np.flatnonzero(~np.isfinite(self.middle)).tolist():
            output, index = self.output_at(at)
            raise GradcheckError(
                f"gradcheck: output {output} at {index} is {self.middle.item(at)}; differences "
                "need a point where the function is finite"
            )
        recorded = _flat(self.outputs)
        if not np.allclose(recorded, self.middle, rtol=1e-9, atol=1e-12):
            at = int(np.argmax(~np.isclose(recorded, self.middle, rtol=1e-9, atol=1e-12)))
            output, index = self.output_at(at)
            raise GradcheckError(
                f"gradcheck: called a second time, on contiguous copies of its inputs, the "
                f"function gives another value for output {output} at {index}: "
                f"{self.middle.item(at)} after {recorded.item(at)}; does it draw random numbers, "
                "change its inputs, or depend on their memory layout?"
            )

    def _run(self, leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
        arguments = list(self.inputs)
        for i, leaf in zip(self.checked, leaves, strict=True):
            arguments[i] = leaf
        with autograd.enable_grad():
            outputs = as_tuple(self.fn(*arguments))
        for output in outputs:
            if not isinstance(output, Tensor):
                raise TypeError(
                    "gradcheck: the function must give a tensor or several, not "
                    f"{type(output).__name__}"
                )
        return outputs

    def values(self, arrays: Sequence[Array]) -> Array:
        """All outputs, one after another, where the checked inputs hold ``arrays``."""
        leaves = [tensor_like(x, array, True) for x, array in zip(self.leaves, arrays, strict=True)]
        outputs = self._run(leaves)
        return _flat([outputs[k] for k in self.kept])

    def output_at(self, position: int) -> tuple[int, tuple[int, ...]]:
        """Which output, and where in it, stands at ``position`` of :meth:`values`."""
        for k, y in zip(self.kept, self.outputs, strict=True):
            if position < y.numel():
                return k, tuple(int(i) for i in np.unravel_index(position, y.shape))
            position -= y.numel()
        raise IndexError(position)

    def pulled_back(self, seeds: Sequence[Array]) -> list[Array]:
        """The gradients of the checked inputs, flat, where the outputs' are ``seeds``."""
        recorded = [
            (y, tensor_like(y, seed))
            for y, seed in zip(self.outputs, seeds, strict=True)
            if y.requires_grad
        ]
        if not recorded:
            return [np.zeros(array.size) for array in self.arrays]
        outputs, gradients = zip(*recorded, strict=True)
        found = autograd.grad(outputs, self.leaves, gradients, retain_graph=True, allow_unused=True)
        if all(gradient is None for gradient in found):
            raise ValueError(
                "gradcheck: no output depends on what the function was passed; it must compute "
                "with its arguments, and not with tensors that it knows from elsewhere"
            )
        return [
            np.zeros(array.size) if gradient is None else _flat([gradient])
            for array, gradient in zip(self.arrays, found, strict=True)
        ]

    def jacobians(self) -> list[Array]:
        """By the tape, for each checked input: all outputs by all its elements."""
        found = [np.zeros((self.middle.size, array.size)) for array in self.arrays]
        seeds = [np.zeros(y.shape) for y in self.outputs]
        row = 0
        for seed in seeds:
            for element in range(seed.size):
                seed.flat[element] = 1
                for jacobian, gradient in zip(found, self.pulled_back(seeds), strict=True):
                    jacobian[row] = gradient
                seed.flat[element] = 0
                row += 1
        return found


# --- The references --------------------------------------------------------------------


def _rows(taped: _Taped, reference: Reference) -> Iterator[Row]:
    if reference.method == "directional differences":
        return _along_a_direction(taped, reference)
    columns = _complex_columns if reference.method == "complex steps" else _difference_columns
    return _by_element(taped, columns(taped, reference))


def _by_element(taped: _Taped, columns: Iterator[Slopes]) -> Iterator[Row]:
    for position, array, jacobian in zip(
        taped.checked, taped.arrays, taped.jacobians(), strict=True
    ):
        for element in range(array.size):
            index = tuple(int(i) for i in np.unravel_index(element, array.shape))
            yield position, index, jacobian[:, element], next(columns)


def _difference_columns(taped: _Taped, reference: Reference) -> Iterator[Slopes]:
    """For each element of each checked input, the slopes of all outputs."""
    for which, array in enumerate(taped.arrays):
        for element in range(array.size):
            unit = np.zeros(array.shape)
            unit.flat[element] = 1
            yield _slopes_along(taped, which, unit, reference)


def _slopes_along(taped: _Taped, which: int, direction: Array, reference: Reference) -> Slopes:
    arrays = list(taped.arrays)

    def shifted(t: float) -> Array:
        arrays[which] = taped.arrays[which] + t * direction
        return taped.values(arrays)

    return slopes(shifted, taped.middle, reference.eps, reference.atol)


def _complex_columns(taped: _Taped, reference: Reference) -> Iterator[Slopes]:
    def in_one(*inputs: Any) -> Tensor:
        outputs = as_tuple(taped.fn(*inputs))
        return Tensor(np.concatenate([outputs[k].array.ravel() for k in taped.kept]))

    for jacobian in complex_step(in_one, taped.inputs):
        columns = jacobian.shape[1:]
        for column in jacobian.reshape(taped.middle.size, math.prod(columns)).T:
            none = np.zeros(column.shape, bool)
            yield Slopes(column, column, column, is_kink=none, is_jump=none)


def _along_a_direction(taped: _Taped, reference: Reference) -> Iterator[Row]:
    """For each checked input one number: the Jacobian between two random vectors."""
    random = np.random.default_rng(0)
    weights = random.standard_normal(taped.middle.size)
    ends = np.cumsum([y.numel() for y in taped.outputs])[:-1]
    seeds = [
        part.reshape(y.shape)
        for part, y in zip(np.split(weights, ends), taped.outputs, strict=True)
    ]
    gradients = taped.pulled_back(seeds)
    for which, array in enumerate(taped.arrays):
        direction = random.standard_normal(array.shape)
        direction /= max(float(np.linalg.norm(direction)), 1e-300)
        found = _slopes_along(taped, which, direction, reference)
        sides = np.sort([weights * found.left, weights * found.right], axis=0).sum(axis=1)
        projected = Slopes(
            *(np.atleast_1d(weights @ found.central), sides[:1], sides[1:]),
            *(np.atleast_1d(mask.any()) for mask in (found.is_kink, found.is_jump)),
        )
        analytical = np.atleast_1d(gradients[which] @ direction.ravel())
        yield taped.checked[which], None, analytical, projected


# --- Small helpers --------------------------------------------------------------------


def shown(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart, but not with all."""
    short = f"{a:.8g}", f"{b:.8g}"
    return short if short[0] != short[1] else (repr(a), repr(b))


# --- Between tensors and arrays -------------------------------------------------------


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Several tensors as they are, a single one in a tuple."""
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _host(x: Tensor) -> Array:
    host: Array = kernels_for[type(x.array)].to_host(x.array)
    return host


def tensor_like(x: Tensor, values: Array, requires_grad: bool = False) -> Tensor:
    """A tensor of ``values``, on the backend of ``x``."""
    return Tensor(kernels_for[type(x.array)].from_host(values, like=x.array), requires_grad)


def _flat(tensors: Sequence[Tensor]) -> Array:
    arrays = [_host(x).astype(np.float64).ravel() for x in tensors]
    return np.concatenate(arrays) if arrays else np.zeros(0)


def input_names(fn: Function, count: int) -> tuple[str, ...]:
    """``input 0 ('x')``, with the parameter's name where there is one; of a module, forward's."""
    try:
        parameters = [
            p.name
            for p in inspect.signature(getattr(fn, "forward", fn)).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        parameters = []
    return tuple(
        f"input {i} ({parameters[i]!r})" if i < len(parameters) else f"input {i}"
        for i in range(count)
    )
