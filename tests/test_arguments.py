"""Arguments go by PyTorch's names, and an error about one names the function that was called."""

import inspect

import numpy as np
import pytest

import scratchgan as sg
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.nn import functional
from scratchgan.testing.choices import Choices
from scratchgan.testing.samplers import SAMPLERS

# --- Numbers that may be given together, by a name -------------------------------------------

SIZES = {
    "zeros": (lambda: sg.zeros(size=(2, 3)), lambda: sg.zeros(2, 3)),
    "ones": (lambda: sg.ones(size=[2]), lambda: sg.ones(2)),
    "empty": (lambda: sg.empty(size=(2, 0)), lambda: sg.empty(2, 0)),
    "rand": (lambda: seeded(sg.rand, size=(2, 3)), lambda: seeded(sg.rand, 2, 3)),
    "randn": (lambda: seeded(sg.randn, size=(4,)), lambda: seeded(sg.randn, 4)),
    "new_zeros": (lambda: x().new_zeros(size=(2,)), lambda: sg.zeros(2)),
    "reshape": (lambda: x().reshape(shape=(3, 2)), lambda: x().reshape(3, 2)),
    "view": (lambda: x().view(size=(-1,)), lambda: x().view(-1)),
    "permute": (lambda: sg.permute(x(), dims=(1, 0)), lambda: x().T),
    "expand": (lambda: x().expand(size=(2, -1, 3)), lambda: sg.stack([x(), x()])),
    "broadcast_to": (lambda: x().broadcast_to(size=(1, 2, 3)), lambda: x()[None]),
    "sum_to_size": (lambda: x().sum_to_size(size=(1, 3)), lambda: x().sum(0, keepdim=True)),
    "repeat": (lambda: x().repeat(repeats=(2, 1)), lambda: sg.cat([x(), x()])),
    "tile": (lambda: sg.tile(x(), dims=(2,)), lambda: sg.cat([x(), x()], 1)),
    "flip": (lambda: x().flip(dims=0), lambda: x()[[1, 0]]),
    "flip an input": (lambda: sg.flip(input=x(), dims=(0,)), lambda: x()[[1, 0]]),
    "reshape an input": (lambda: sg.reshape(shape=(3, 2), input=x()), lambda: x().reshape(3, 2)),
    "flip along both": (lambda: x().flip(dims=[0, 1]), lambda: x().flip(0, 1)),
    "split": (lambda: x().split(split_size=1)[1], lambda: x()[1:]),
    "swapaxes": (lambda: x().swapaxes(axis0=0, axis1=1), lambda: x().T),
    "mm": (lambda: sg.mm(x(), mat2=x().T), lambda: x() @ x().T),
    "bmm": (lambda: sg.bmm(x()[None], mat2=x().T[None]), lambda: (x() @ x().T)[None]),
    "mv": (lambda: x().mv(vec=x()[0]), lambda: x() @ x()[0]),
    "dot": (lambda: x()[0].dot(tensor=x()[1]), lambda: x()[0] @ x()[1]),
}


def x():
    return sg.arange(6.0).reshape(2, 3)


def seeded(draw, *sizes, **keywords):
    sg.manual_seed(0)
    return draw(*sizes, **keywords)


@pytest.mark.parametrize("name", SIZES)
def test_by_name(name):
    found, expected = (call() for call in SIZES[name])
    np.testing.assert_array_equal(found.numpy(), expected.numpy(), strict=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sg.zeros(2, size=(3,)),
        lambda: sg.rand(2, size=3),
        lambda: x().repeat(2, repeats=2),
        lambda: x().flip(0, dims=1),
    ],
)
def test_by_name_and_by_position(call):
    with pytest.raises(TypeError, match=r"^\w+: \w+ is given by position and by name$"):
        call()


# --- Errors ----------------------------------------------------------------------------------

VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL

#: Where the name in the error is another: of what it is an alias or a composition.
ALIASES = {"trapz": "trapezoid"}

#: The arguments that a function must have, by their names; all others are tensors.
NEEDED = {
    "chunks": 2,
    "index": sg.zeros(2, 3, dtype=sg.int64),
    "length": 1,
    "maxnorm": 1.0,
    "k": 1,
    "n": 1,
    "p": 2,
    "q": 0.5,
    "repeats": 2,
    "pad": (1, 1),
    "shifts": 1,
    "size": 3,
    "sizes": (3, 1),
    "split_size_or_sections": 1,
    "split_sizes": [1, 1],
    "start": 0,
    "step": 1,
    "tensors": [sg.ones(2, 3)] * 2,
    "value": 1.0,
}


def functions_of_a_dim():
    for place in (sg, functional):
        for name, function in vars(place).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                parameters = inspect.signature(function).parameters
                if "dim" in parameters:
                    yield pytest.param(function, parameters, id=f"{place.__name__}.{name}")


@pytest.mark.parametrize("dim", [9, -7])
@pytest.mark.parametrize(("function", "parameters"), list(functions_of_a_dim()))
def test_a_dim_that_is_not_there(function, parameters, dim):
    given = {
        name: NEEDED.get(name, sg.ones(2, 3))
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name != "dim"
    }
    if function is sg.scatter:
        given["value"] = 1.0
    name = ALIASES.get(function.__name__, function.__name__)
    with pytest.raises(IndexError, match=rf"^{name}: dim {dim} is out of range for . dimensions$"):
        function(**given, dim=dim)


def inputs_that_are_tensors():
    for place in (sg, functional):
        for name, function in vars(place).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                parameters = inspect.signature(function).parameters
                for word, one in parameters.items():
                    if one.annotation is sg.Tensor:
                        case = f"{place.__name__}.{name}({word})"
                        yield pytest.param(function, parameters, word, id=case)


@pytest.mark.parametrize("given", [[1.0, 2.0], "text", 3.0], ids=repr)
@pytest.mark.parametrize(("function", "parameters", "word"), list(inputs_that_are_tensors()))
def test_what_is_no_tensor(function, parameters, word, given):
    others = {
        name: NEEDED.get(name, sg.ones(2, 3))
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not VAR_POSITIONAL
    }
    name = ALIASES.get(function.__name__, function.__name__)
    wrong = rf"not {type(given).__name__}; make one with scratchgan\.tensor"
    with pytest.raises(TypeError, match=rf"^{name}: .*({wrong}|must be a tensor, not a number)"):
        if parameters[word].kind is VAR_POSITIONAL:
            function(given, **others)
        else:
            function(**others | {word: given})


@pytest.mark.parametrize("name", ["cat", "stack", "hstack", "vstack", "dstack", "column_stack"])
def test_lists_of_what_are_no_tensors(name):
    function = getattr(sg, name)
    with pytest.raises(TypeError, match=rf"^{name}: tensors\[1\] is a tensor, not list; make one"):
        function([sg.ones(2), [1.0, 2.0]])
    with pytest.raises(TypeError, match=rf"^{name}: takes a list or tuple of tensors, not float$"):
        function(3.0)


def test_an_array_in_the_place_of_a_tensor():
    array = x().numpy()
    assert sg.mean(array).item() == 2.5
    np.testing.assert_array_equal(sg.flatten(input=array).numpy(), np.arange(6.0))
    found = sg.take_along_dim(x(), np.array([[0], [2]]), dim=1)
    np.testing.assert_array_equal(found.numpy(), [[0.0], [5.0]])


# --- Inputs by name ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SAMPLERS if REGISTRY[name].variadic is None])
def test_inputs_of_a_primitive(name):
    primitive = REGISTRY[name]
    for seed in range(5):
        inputs, keywords = SAMPLERS[name].sampler(Choices(seed))
        named = dict(zip(primitive.inputs, inputs, strict=True))
        own = {k: v for k, v in keywords.items() if v != primitive.defaults.get(k, "none")}
        found, expected = primitive(**named, **own), primitive(*inputs, **keywords)
        np.testing.assert_array_equal(found.numpy(), expected.numpy(), strict=True)


def test_pytorchs_names_of_inputs():
    np.testing.assert_array_equal(sg.sum(input=x(), dim=0).numpy(), [3, 5, 7])
    np.testing.assert_array_equal(sg.mul(input=x(), other=x()).numpy(), x().numpy() ** 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sg.sum(x(), 0, dim=1),
        lambda: sg.sum(x(), dim=0, axis=1),
        lambda: sg.std(x(), dim=0, axis=1),
        lambda: sg.exp(x(), input=x()),
        lambda: sg.maximum(x(), x(), other=x()),
    ],
)
def test_an_argument_given_twice(call):
    with pytest.raises(TypeError, match=r"^\w+: the argument '\w+' is given twice$"):
        call()
