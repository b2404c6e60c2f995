"""Every primitive on a GPU: the reference's values, and gradients that differences confirm."""

from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import Tensor, autograd, cli, ops
from scratchgan.autograd.observe import observe
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.backend import kernels_for, reference
from scratchgan.testing import gradcheck
from scratchgan.testing.check import AGREEMENT, check_sample
from scratchgan.testing.choices import Choices, Sample
from scratchgan.testing.graphs import random_graph
from scratchgan.testing.report import verdicts
from scratchgan.testing.samplers import SAMPLERS

NAMES = [name for name in SAMPLERS if name != "to_device"]
SAMPLES = {"emulated": 4, "real": 40}


def on_gpu(x: Any, dtype: Any = None) -> Any:
    """A tensor's twin on a GPU, in the same memory layout."""
    if not isinstance(x, Tensor):
        return x
    array = x.array if dtype is None or x.dtype.kind != "f" else x.array.astype(dtype, copy=False)
    owner, offset = reference.memory(array)
    nothing = sg.empty(0, device="cuda").array
    kernels = kernels_for[type(nothing)]
    content = kernels.from_host(owner.ravel(order="K").view(np.uint8), like=nothing)
    twin = kernels.part(
        content, offset=offset, shape=array.shape, strides=array.strides, dtype=array.dtype
    )
    return Tensor(twin, x.requires_grad)


def on_cpu(x: Any, dtype: Any = None) -> Any:
    """A tensor of its own on the CPU."""
    if not isinstance(x, Tensor) or x.dtype.kind != "f":
        return x
    return Tensor(x.array.astype(dtype, copy=False))


def computed(name: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> list[Tensor]:
    """The result, first derivatives and second derivatives of a primitive."""
    floats = [x for x in inputs if isinstance(x, Tensor) and x.dtype.kind == "f"]
    for x in floats:
        x.requires_grad_()
    out = REGISTRY[name](*inputs, **keywords)
    results = [out]
    if out.requires_grad:
        first = autograd.grad(
            ops.sum(ops.square(out)), floats, create_graph=True, allow_unused=True
        )
        taped = [ops.sum(ops.square(g)) for g in first if g is not None and g.requires_grad]
        second = autograd.grad(taped, floats, allow_unused=True) if taped else ()
        out = REGISTRY[name](*inputs, **keywords)
        plain = autograd.grad(ops.sum(out), floats, allow_unused=True)
        results += [g for g in (*first, *second, *plain) if g is not None]
    return results


def samples(name: str, way: str) -> list[Sample]:
    return [SAMPLERS[name].sampler(Choices(seed)) for seed in range(SAMPLES[way])]


def test_every_primitive_is_here() -> None:
    assert REGISTRY.keys() - set(NAMES) <= {"to_device"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_derivatives(name: str, dtype: Any, way: str) -> None:
    tolerance = 20 * AGREEMENT[np.dtype(dtype)]
    for sample in samples(name, way):
        with sg.use_backend("numpy"):
            expected = computed(
                name, tuple(on_cpu(x, dtype) for x in sample.inputs), sample.keywords
            )
        got = computed(name, tuple(on_gpu(x, dtype) for x in sample.inputs), sample.keywords)
        for x, y in zip(got, expected, strict=True):
            assert (x.device, x.dtype, x.shape) == ("cuda:0", y.dtype, y.shape)
            np.testing.assert_allclose(
                x.numpy(force=True), y.numpy(force=True), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name: str, way: str) -> None:
    for sample in samples(name, way)[:10]:
        inputs = tuple(on_gpu(x, np.float64) for x in sample.inputs)
        floats = [x for x in inputs if isinstance(x, Tensor) and x.dtype.kind == "f"]
        if REGISTRY[name](*inputs, **sample.keywords).dtype.kind == "f":
            for x in floats:
                x.requires_grad_()
            assert gradcheck(lambda *x, k=sample.keywords: REGISTRY[name](*x, **k), inputs)


@pytest.mark.parametrize("order", [1, 2])
def test_the_table_of_errors(order: int, monkeypatch: Any, capsys: Any, way: str) -> None:
    """``scratchgan gradcheck --device cuda``, and what it rests on."""
    names = NAMES if way == "real" else ["tanh", "linear", "where", "gather", "sign"]
    rows = list(verdicts([*names, "to_device"], order, 4, "cuda:0"))
    assert all(row.passes for row in rows)
    for row in rows[:-1]:
        assert row.errors[1] is None
        assert (row.errors[0] is None) == (not REGISTRY[row.primitive].vjps)
        assert row.errors[0] is None or row.errors[0] < 1e-8
    computed_on = []
    monkeypatch.setattr("sys.argv", ["scratchgan", "gradcheck", "exp", "--device", "cuda"])
    with (
        observe(lambda p, inputs, k, out: computed_on.append(out.device)),
        pytest.raises(SystemExit),
    ):
        cli.main()
    assert "cuda:0" in computed_on
    assert "Derivatives of order 1, device cuda:0" in capsys.readouterr().out


class OnGPU:
    """A primitive that computes on a GPU, between tensors on the CPU."""

    is_view = False

    def __init__(self, name: str) -> None:
        primitive = REGISTRY[name]
        self.name, self.inputs, self.variadic = name, primitive.inputs, primitive.variadic
        self._primitive = primitive

    def __call__(self, *inputs: Any, **keywords: Any) -> Tensor:
        there = [x.to("cuda") if isinstance(x, Tensor) else x for x in inputs]
        return self._primitive(*there, **keywords).cpu()


@pytest.mark.parametrize("name", NAMES)
def test_all_that_holds_for_primitives(name: str, way: str) -> None:
    """What scratchgan.testing.check_primitive holds them to on the CPU."""
    for sample in samples(name, way)[-20 if way == "real" else -1 :]:
        check_sample(OnGPU(name), sample)  # type: ignore[arg-type]


def test_random_graphs(way: str) -> None:
    for seed in range(100 if way == "real" else 6):
        graph = random_graph(Choices(seed), 12)
        there = graph._replace(
            steps=tuple(
                step._replace(
                    sample=step.sample._replace(inputs=tuple(map(on_gpu, step.sample.inputs)))
                )
                for step in graph.steps
            )
        )
        found = []
        for function, leaves in ((graph, graph.leaves), (there, tuple(map(on_gpu, graph.leaves)))):
            for x in leaves:
                x.requires_grad_()
            with sg.use_backend("numpy"):
                value = function(*leaves)
                gradients = autograd.grad(value, leaves, allow_unused=True)
            found.append([value, *[g for g in gradients if g is not None]])
        for x, y in zip(*found, strict=True):
            np.testing.assert_allclose(
                x.numpy(force=True), y.numpy(force=True), rtol=1e-9, atol=1e-9, err_msg=str(seed)
            )


@pytest.mark.parametrize("name", NAMES)
def test_jit(name: str, way: str) -> None:
    """A replay of the primitive and its backward gives what the first call gave."""
    for sample in samples(name, way)[:3]:
        inputs = tuple(on_gpu(x, np.float64) for x in sample.inputs)
        if not any(isinstance(x, Tensor) and x.dtype.kind == "f" for x in inputs):
            continue

        @sg.jit
        def step(*inputs: Any, k: Any = sample.keywords) -> list[Tensor]:
            leaves = [x.detach() if isinstance(x, Tensor) else x for x in inputs]
            return [x.detach() for x in computed(name, tuple(leaves), k)]

        first, again = step(*inputs), step(*inputs)
        for x, y in zip(again, first, strict=True):
            np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-14, atol=1e-14)
