"""Small programs of users with something unexpected in them: jitted or not, they give the same.

Each takes ``jit``, which is sg.jit or does nothing, and gives what is compared.
"""

import collections
import copy
import dataclasses
import functools
import operator
import pickle
import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn, optim
from scratchgan.jit import JitError

Jit = Callable[[Any], Any]
PROGRAMS: list[Callable[[Jit], Any]] = []
FACTOR = 2.0


def program(function: Callable[[Jit], Any]) -> Callable[[Jit], Any]:
    PROGRAMS.append(function)
    return function


def ones(value: float = 1.0) -> sg.Tensor:
    return sg.full((2,), float(value))


def called(function: Any, change: Callable[[], object], times: int = 2) -> list[Any]:
    """Results before and after a change."""
    before = [function(ones()) for _ in range(times)]
    change()
    return [*before, *[function(ones()) for _ in range(times)]]


# --- Gradients ------------------------------------------------------------------------


@program
def gradients_of_arguments_are_their_own(jit: Jit) -> Any:
    g = jit(lambda w, x: (w * x).sum().backward())
    leaves = [nn.Parameter(ones()) for _ in range(4)]
    for k, w in enumerate(leaves):
        g(w, ones(k))
    return [w.grad for w in leaves]


@program
def copies_of_a_model_keep_their_gradients(jit: Jit) -> Any:
    model = nn.Linear(2, 1)
    g = jit(lambda x: (model.zero_grad(), model(x).sum().backward())[1])
    g(ones())
    others = [copy.deepcopy(model), copy.copy(model.weight), pickle.loads(pickle.dumps(model))]
    g(ones(5))
    return [model.weight.grad, others[0].weight.grad, others[1].grad, others[2].weight.grad]


@program
def a_gradient_that_is_returned_is_the_gradient(jit: Jit) -> Any:
    w = nn.Parameter(ones())
    optimizer = optim.SGD([w], lr=1.0)

    def gradients(x: sg.Tensor) -> Any:
        optimizer.zero_grad()
        (w * x).sum().backward()
        return [w.grad]

    g = jit(gradients)
    for _ in range(3):
        (gradient,) = g(ones())
        gradient.mul_(0.25)
        optimizer.step()
    return w.detach(), gradient is w.grad


@program
def hooks_of_arguments(jit: Jit) -> Any:
    by, seen = SimpleNamespace(k=2.0), []
    g = jit(lambda x: (x * x).sum().backward())
    x = ones().requires_grad_()
    x.register_hook(lambda gradient: (seen.append(1), gradient * by.k)[1])
    found = []
    for k in (2.0, 3.0, 4.0):
        by.k, x.grad = k, None
        g(x)
        found.append(x.grad)
    return found, len(seen)


@program
def a_leaf_that_is_returned(jit: Jit) -> Any:
    def f(x: sg.Tensor) -> sg.Tensor:
        z = x.detach().requires_grad_()
        (z * x).sum().backward()
        return z

    g = jit(f)
    z = [g(ones(k)) for k in range(3)]
    return z[-1].requires_grad, [x.grad for x in z]


@program
def an_argument_that_becomes_a_leaf(jit: Jit) -> Any:
    g = jit(lambda x: (x.requires_grad_() * x).sum().backward())
    xs = [ones(k) for k in range(3)]
    for x in xs:
        g(x)
    return [(x.requires_grad, x.grad) for x in xs]


@program
def an_error_after_a_change_in_place(jit: Jit) -> Any:
    def f(x: sg.Tensor) -> None:
        x.add_(1)
        raise ValueError

    g, x = jit(f), ones()
    for _ in range(2):
        with pytest.raises(ValueError):
            g(x)
    return x


# --- Methods --------------------------------------------------------------------------


@program
def two_methods_of_one_name(jit: Jit) -> Any:
    class A:
        f = jit(lambda self, x: x * 2)
        g = jit(lambda self, x: x * 3)

    a = A()
    return [a.f(ones()), a.g(ones()), a.f(ones()), a.g(ones())]


@program
def a_method_and_that_of_the_base(jit: Jit) -> Any:
    class A:
        @jit
        def f(self, x: sg.Tensor) -> sg.Tensor:
            return x * 2

    class B(A):
        @jit
        def f(self, x: sg.Tensor) -> sg.Tensor:
            return super().f(x) + 1

    b = B()
    return [b.f(ones()) for _ in range(3)]


@program
def class_and_static_methods(jit: Jit) -> Any:
    class A:
        by = 2.0

        @classmethod
        @jit
        def f(cls, x: sg.Tensor) -> sg.Tensor:
            return x * cls.by

        @staticmethod
        @jit
        def g(x: sg.Tensor) -> sg.Tensor:
            return x * 3

    found = [A.f(ones()), A().f(ones()), A.g(ones()), A().g(ones())]
    A.by = 5.0
    return [*found, A.f(ones())]


@program
def callables_without_a_name(jit: Jit) -> Any:
    sg.manual_seed(0)
    model = nn.Linear(2, 2)
    call, part = jit(model), jit(functools.partial(operator.mul, 3.0))
    with sg.no_grad():
        return [call(ones()), call(ones(2)), part(ones()), part(ones(2))]


@program
def a_class_that_is_changed_later(jit: Jit) -> Any:
    class A:
        s = 2.0

        def f(self, x: sg.Tensor) -> sg.Tensor:
            return x * self.s

    class B(A):
        pass

    b = B()
    g = jit(lambda x: b.f(x))
    found = called(g, lambda: setattr(B, "s", 3.0))
    found += called(g, lambda: setattr(B, "f", lambda self, x: x * 7))
    return found + called(g, lambda: setattr(b, "__class__", A))


# --- What is read ---------------------------------------------------------------------


@program
def attributes_by_text(jit: Jit) -> Any:
    c = SimpleNamespace(a=2.0, b=3.0)

    def f(x: sg.Tensor) -> sg.Tensor:
        y = x * getattr(c, "a", 1.0) + vars(c)["b"]
        return y * 10 if hasattr(c, "more") else operator.attrgetter("a")(c) * y

    g = jit(f)
    found = called(g, lambda: setattr(c, "a", 5.0))
    found += called(g, lambda: setattr(c, "b", 7.0))
    return found + called(g, lambda: setattr(c, "more", True))


@program
def attributes_of_functions_and_tensors(jit: Jit) -> Any:
    w = nn.Parameter(ones())

    def helper(x: sg.Tensor) -> sg.Tensor:
        return x * helper.scale * getattr(w, "factor", 1.0)  # type: ignore[attr-defined]

    helper.scale = 2.0  # type: ignore[attr-defined]
    g = jit(lambda x: helper(x) * 1)
    found = called(g, lambda: setattr(helper, "scale", 3.0))
    return found + called(g, lambda: setattr(w, "factor", 4.0))


@program
def variables_that_come_later(jit: Jit) -> Any:
    scope: dict[str, Any] = {"__name__": __name__}
    exec("def f(x):\n    global LAST\n    LAST = x * 2\n    return LAST + 1\n", scope)
    g = jit(scope["f"])
    found = []
    for k in range(3):
        found += [g(ones(k)), scope["LAST"]]
    return found


@program
def wrapped_callables(jit: Jit) -> Any:
    class Scaled:
        def __init__(self, function: Any, by: float) -> None:
            functools.update_wrapper(self, function)
            self.function, self.by = function, by

        def __call__(self, x: sg.Tensor) -> sg.Tensor:
            return self.function(x) * self.by

    scaled = Scaled(lambda x: x + 1, 2.0)
    return called(jit(lambda x: scaled(x)), lambda: setattr(scaled, "by", 3.0)) + called(
        jit(scaled), lambda: setattr(scaled, "by", 4.0)
    )


@program
def containers_of_many_kinds(jit: Jit) -> Any:
    class Key:
        s = 2.0

    class Config(dict):  # type: ignore[type-arg]
        power = 1.0

    many = SimpleNamespace(
        user=collections.UserDict(a=2.0),
        chain=collections.ChainMap({"a": 2.0}),
        own=Config(a=2.0),
        items={Key(): 1.0},
    )

    def f(x: sg.Tensor) -> sg.Tensor:
        (key,) = many.items
        return x * many.user["a"] * many.chain["a"] * many.own["a"] * many.own.power * key.s

    g = jit(f)
    found = called(g, lambda: many.user.update(a=3.0))
    found += called(g, lambda: many.chain.update(a=3.0))
    found += called(g, lambda: setattr(many.own, "power", 3.0))
    return found + called(g, lambda: setattr(next(iter(many.items)), "s", 5.0))


@program
def modules_that_are_imported_inside(jit: Jit) -> Any:
    sys.modules["settings_of_a_test"] = settings = ModuleType("settings_of_a_test")
    settings.SCALE = 2.0  # type: ignore[attr-defined]

    def f(x: sg.Tensor) -> sg.Tensor:
        from settings_of_a_test import SCALE  # type: ignore[import-not-found]

        return x * SCALE

    found = called(jit(f), lambda: setattr(settings, "SCALE", 3.0))
    del sys.modules["settings_of_a_test"]
    return found


@program
def streams_of_others(jit: Jit) -> Any:
    old, bound = np.random.RandomState(0), random.Random(0).random
    g = jit(lambda x: x * float(old.rand()) + bound())
    return [g(ones()) for _ in range(4)]


@program
def requires_grad_and_options_that_are_read(jit: Jit) -> Any:
    w = nn.Parameter(ones())
    optimizer = optim.SGD([w], lr=0.5)
    group = optimizer.param_groups[0]

    def f(x: sg.Tensor) -> sg.Tensor:
        optimizer.step()
        return x * group["lr"] * (2.0 if w.requires_grad else 1.0)

    g = jit(f)
    found = called(g, lambda: group.update(lr=0.25))
    return found + called(g, lambda: w.requires_grad_(False))


@dataclasses.dataclass
class Batch:
    x: sg.Tensor

    def __post_init__(self) -> None:
        self.scale = 2.0

    def scaled(self) -> sg.Tensor:
        return self.x * self.scale * FACTOR


@program
def dataclasses_with_more_than_fields(jit: Jit) -> Any:
    g, batch = jit(lambda batch: batch.scaled()), Batch(ones())
    found = [g(batch)]
    batch.scale = 3.0
    return [*found, g(batch), g(Batch(ones(5)))]


@pytest.mark.parametrize("run", PROGRAMS, ids=lambda function: function.__name__)
@pytest.mark.filterwarnings("ignore:jit")
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_same(run: Callable[[Jit], Any], backend: str) -> None:
    with sg.use_backend(backend):
        assert plain(run(sg.jit)) == plain(run(lambda function: function))


def plain(value: Any) -> Any:
    if isinstance(value, sg.Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(x) for x in value]
    return value


# --- Refused --------------------------------------------------------------------------


def swallowed(x: sg.Tensor) -> sg.Tensor:
    try:
        total = x.sum().item()
    except Exception:
        total = 1.0
    return x / total


def generated(x: sg.Tensor) -> Iterator[sg.Tensor]:
    yield x * 2


KEPT = SimpleNamespace(last=None, all=[])


def keeps(x: sg.Tensor) -> sg.Tensor:
    KEPT.last = x
    return x * 2


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (swallowed, "reads a value"),
        (lambda x: {x * 2}, "returns a set"),
        (lambda x: collections.deque([x * 2]), "returns a deque"),
        (lambda x: lambda z: x * 2 + z, "returns a function"),
        (generated, "returns a generator"),
        (lambda x: np.zeros(2), "returns a ndarray"),
        (lambda x: x / float(x.array.sum()), "uses the array"),
        (keeps, "keeps an argument in KEPT.last"),
    ],
)
def test_refused(function: Any, message: str) -> None:
    step = sg.jit(function)
    for _ in range(2):
        with pytest.raises(JitError, match=message):
            step(sg.ones(2))


def test_a_method_of_an_object_without_a_dict() -> None:
    class Slotted:
        __slots__ = ()

        @sg.jit
        def f(self, x: sg.Tensor) -> sg.Tensor:
            return x

    with pytest.raises(JitError, match="leave __slots__ out"):
        Slotted().f(sg.ones(2))


def test_draws_outside_do_not_concern_a_step_that_draws_nothing() -> None:
    model = nn.Linear(4, 1)
    step = sg.jit(lambda x: model(x).mean().backward())
    for _ in range(6):
        model.zero_grad()
        step(sg.randn(8, 4))
    assert len(step.recordings) == 1
