"""Devices: where tensors are made, how they move, and what is said where they do not fit."""

from typing import Any

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import BackendError, Tensor, nn
from scratchgan.backend import devices, kernels_for


@pytest.fixture
def second_gpu() -> str:
    if sg.cuda.device_count() < 2:
        pytest.skip("there is only one GPU")
    return "cuda:1"


CREATED = {
    "tensor": lambda **k: sg.tensor([[1.0, 2.0]], **k),
    "zeros": lambda **k: sg.zeros(2, 3, **k),
    "ones": lambda **k: sg.ones((2, 3), dtype=np.int64, **k),
    "full": lambda **k: sg.full((2,), 7.5, **k),
    "arange": lambda **k: sg.arange(5, **k),
    "linspace": lambda **k: sg.linspace(0, 1, 5, **k),
    "eye": lambda **k: sg.eye(3, **k),
    "rand": lambda **k: sg.rand(4, generator=sg.Generator(1), **k),
    "randn": lambda **k: sg.randn(4, generator=sg.Generator(1), **k),
    "randint": lambda **k: sg.randint(0, 9, (4,), generator=sg.Generator(1), **k),
    "as_tensor": lambda **k: sg.as_tensor(np.arange(3), **k),
}


@pytest.mark.parametrize("name", CREATED)
def test_creation(name: str) -> None:
    here, there = CREATED[name](), CREATED[name](device="cuda")
    assert (here.device, there.device) == ("cpu", "cuda:0")
    assert here.dtype == there.dtype
    np.testing.assert_array_equal(here.numpy(), there.numpy())


def test_results_lie_beside_their_inputs(second_gpu: str) -> None:
    x = sg.tensor(np.ones((3, 4)), device=second_gpu, requires_grad=True)
    y = sg.log_softmax((x @ x.T + 1).tanh()[1:].sum(0, keepdim=True), -1) * sg.ones_like(x[0, 0])
    loss = nn.functional.dropout(y, 0.5).mean()
    loss.backward()
    assert x.grad is not None
    for tensor in (y, loss, x.grad, y.argmax(), x[[0, 1]], x > 0, x.to(np.float32)):
        assert tensor.device == second_gpu


def test_training_on_the_second_gpu(second_gpu: str) -> None:
    losses = []
    for device in ("cpu", second_gpu):
        sg.manual_seed(0)
        model = nn.Linear(3, 2).double().to(device)
        optimizer = sg.optim.Adam(model.parameters(), 0.1)

        @sg.jit
        def step(x: Tensor, model: Any = model, optimizer: Any = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        x = sg.ones(4, 3, dtype=np.float64, device=device)
        losses.append([step(x).item() for _ in range(3)])
        assert model.weight.grad.device == device
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)


def test_to() -> None:
    x = sg.tensor([1.5, -2.0])
    y = x.to("cuda")
    assert (y.device, y.tolist()) == ("cuda:0", [1.5, -2.0])
    assert y.to("cuda") is y
    assert y.cuda() is y
    assert y.to(device="cuda:0", dtype="float32") is y
    assert y.to("cuda", sg.float64).dtype == sg.float64
    assert x.to(y.to(sg.int64)).tolist() == [1, -2]
    assert x.to(y.to(sg.int64)).device == "cuda:0"
    assert (y.cpu().device, y.cpu().tolist()) == ("cpu", [1.5, -2.0])
    assert "device='cuda:0'" in repr(y)
    assert "device" not in repr(x)


def test_between_gpus(second_gpu: str) -> None:
    x = sg.arange(4, device="cuda")
    y = x.to(second_gpu)
    assert (y.device, y.tolist()) == (second_gpu, [0, 1, 2, 3])
    y.copy_(sg.full((4,), 2, device="cuda"))
    assert (y.device, y.tolist()) == (second_gpu, [2, 2, 2, 2])


def test_the_gradient_comes_back() -> None:
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    (x.to("cuda") ** 3).sum().backward()
    assert x.grad is not None
    assert (x.grad.device, x.grad.tolist()) == ("cpu", [3.0, 12.0])
    (g,) = sg.autograd.grad((x.cuda() ** 3).sum(), x, create_graph=True)
    assert sg.autograd.grad(g.sum(), x)[0].tolist() == [6.0, 12.0]


def test_modules_move_with_gradients_and_buffers() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model(sg.randn(4, 2)).sum().backward()
    before = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    assert model.cuda() is model
    for tensor in (*model.parameters(), *model.buffers()):
        assert tensor.device == "cuda:0"
        assert tensor.grad is None or tensor.grad.device == "cuda:0"
    model.to("cuda", sg.float64)
    assert model[0].weight.dtype == sg.float64
    assert model[1].num_batches_tracked.dtype == sg.int64
    model.load_state_dict(before)  # from the CPU, converted
    model.cpu().float()
    for name, x in model.state_dict().items():
        assert x.device == "cpu"
        np.testing.assert_array_equal(x.numpy(), before[name])


def test_values_from_the_cpu_go_into_a_tensor_on_a_gpu() -> None:
    x = sg.zeros(3, device="cuda")
    x.copy_(sg.tensor([1.0, 2.0, 3.0]))
    x[0] = np.array(5.0)
    x[[1, 2]] = [7, 8]
    assert (x.device, x.tolist()) == ("cuda:0", [5.0, 7.0, 8.0])
    assert x[sg.tensor([2, 0])].tolist() == [8.0, 5.0]
    assert x[np.array([True, False, True])].tolist() == [5.0, 8.0]


# --- Other libraries ----------------------------------------------------------------------


def test_arrays_of_other_libraries() -> None:
    """Through ``__cuda_array_interface__``, in both directions, sharing memory."""
    x = sg.tensor([1.0, 2.0, 3.0], device="cuda")

    class Foreign:
        __cuda_array_interface__ = x.__cuda_array_interface__
        keeps_alive = x

    y = sg.as_tensor(Foreign())
    copy = sg.tensor(Foreign())
    x.mul_(2)
    assert (y.device, y.tolist(), copy.tolist()) == ("cuda:0", [2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert sg.as_tensor(Foreign(), device="cpu").tolist() == [2.0, 4.0, 6.0]
    assert not hasattr(sg.ones(2), "__cuda_array_interface__")
    assert not hasattr(x.requires_grad_(), "__cuda_array_interface__")


def test_dlpack(way: str) -> None:
    if way != "real":
        pytest.skip("the stand-in has no DLPack")
    import cupy

    x = cupy.arange(3.0)
    y = sg.from_dlpack(x)
    x += 1
    assert (y.device, y.tolist()) == ("cuda:0", [1.0, 2.0, 3.0])
    z = cupy.from_dlpack(y)
    z += 1
    assert y.tolist() == [2.0, 3.0, 4.0]


# --- What is said -------------------------------------------------------------------------

MIXED = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: y - x,
    "where": lambda x, y: sg.where(x > 0, x, y),
    "matmul": lambda x, y: x @ y.T,
    "linear": lambda x, y: nn.functional.linear(x, y, y[:, 0]),
    "cat": lambda x, y: sg.cat([x, y]),
    "binary_cross_entropy": lambda x, y: nn.functional.binary_cross_entropy(x, y),
}


@pytest.mark.parametrize("name", MIXED)
def test_tensors_of_two_devices(name: str) -> None:
    x, y = sg.ones(2, 2), sg.ones(2, 2, device="cuda")
    for first, second in ((x, y), (y, x)):
        with pytest.raises(TypeError, match=f"^{name}: .* different devices") as caught:
            MIXED[name](first, second)
        assert "cpu" in str(caught.value)
        assert "cuda:0" in str(caught.value)


@pytest.mark.parametrize("name", MIXED)
def test_tensors_of_two_gpus(name: str, second_gpu: str) -> None:
    x, y = sg.ones(2, 2, device="cuda"), sg.ones(2, 2, device=second_gpu)
    with pytest.raises(TypeError, match=f"^{name}: .* different devices") as caught:
        MIXED[name](x, y)
    assert "cuda:0" in str(caught.value)
    assert "cuda:1" in str(caught.value)


def test_an_optimizer_made_before_the_move() -> None:
    model = nn.Linear(2, 2)
    optimizer = sg.optim.Adam(model.parameters())
    model.cuda()
    model(sg.ones(1, 2, device="cuda")).sum().backward()
    with pytest.raises(
        RuntimeError, match=r"^Adam\.step: the state of parameter 0 does not fit it"
    ):
        optimizer.step()


def test_no_such_gpu() -> None:
    with pytest.raises(BackendError, match=r"no GPU 'cuda:99' on this machine; it has cuda:0"):
        sg.zeros(2, device="cuda:99")
    with pytest.raises(BackendError, match="there is no device 'gpu'; choose 'cpu', 'cuda'"):
        sg.zeros(2, device="gpu")
    with pytest.raises(TypeError, match="'gpu' is neither a device"):
        sg.zeros(2).to("gpu")


def test_out_of_memory() -> None:
    with pytest.raises(BackendError, match=r"cuda:0 is out of memory: .* use a smaller batch size"):
        sg.empty(1 << 44, device="cuda")


def test_what_there_is() -> None:
    assert sg.cuda.is_available()
    assert sg.cuda.device_count() >= 1
    assert sg.cuda.get_device_name()
    sg.cuda.synchronize()
    with pytest.raises(BackendError, match="'cpu' is no GPU"):
        sg.cuda.get_device_name("cpu")


def test_set_backend_says_how_a_gpu_is_used() -> None:
    with pytest.raises(BackendError, match="make them with device='cuda'") as caught:
        sg.set_backend("cupy")
    assert "not available" not in str(caught.value)


def test_a_type_that_cuda_has_no_kernels_for() -> None:
    kernels = kernels_for[type(sg.empty(0, device="cuda").array)]
    half = kernels.from_host(np.ones(3, np.float16), like=sg.empty(0, device="cuda").array)
    with pytest.raises(TypeError, match="no CUDA kernels for float16"):
        sg.exp(Tensor(half))


def test_names() -> None:
    assert devices.full_name("cuda") == "cuda:0"
    assert devices.full_name("cpu") == "cpu"
