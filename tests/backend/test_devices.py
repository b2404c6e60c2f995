"""Why a GPU cannot be used: each reason is a sentence of its own that says what to do."""

import builtins
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import scratchgan as sg
from scratchgan import BackendError, cli
from scratchgan.backend import devices
from scratchgan.backend.cuda import fault


class CUDARuntimeError(RuntimeError):
    pass


def fake_cupy(count: int | str, driver: int, build: int = 12090) -> ModuleType:
    """A CuPy that finds ``count`` GPUs, or raises the error of this name."""

    def get_device_count() -> int:
        if isinstance(count, str):
            raise CUDARuntimeError(f"{count}: a message")
        return count

    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=get_device_count,
        driverGetVersion=lambda: driver,
        getDevice=lambda: 0,
    )
    cupy = ModuleType("cupy")
    build_version = SimpleNamespace(get_build_version=lambda: build)
    cupy.cuda = SimpleNamespace(runtime=runtime, driver=build_version)  # type: ignore[attr-defined]
    return cupy


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What ``import cupy`` gives: a module, or an error."""

    def installed(found: ModuleType | Exception) -> None:
        importing = builtins.__import__

        def planted(name: str, *arguments: Any, **keywords: Any) -> Any:
            if name == "cupy":
                raise found  # type: ignore[misc]
            return importing(name, *arguments, **keywords)

        if isinstance(found, ModuleType):
            monkeypatch.setitem(sys.modules, "cupy", found)
        else:
            monkeypatch.setattr(builtins, "__import__", planted)

    return installed


REASONS = {
    "not installed": (
        ModuleNotFoundError("No module named 'cupy'", name="cupy"),
        r"CuPy is not installed; run pip install 'scratchgan\[cuda12\]'",
    ),
    "broken": (ImportError("libcudart.so.12"), r"cannot be imported \(libcudart.so.12\)"),
    "part missing": (
        ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"),
        "cannot be imported .*'fastrlock'.*install it anew",
    ),
    "no driver": (fake_cupy("cudaErrorInsufficientDriver", 0), "no NVIDIA driver is; install"),
    "old driver": (
        fake_cupy("cudaErrorInsufficientDriver", 11040),
        "too old: it has CUDA 11.4, and CuPy was built for CUDA 12.9; update the driver, or "
        "install the CuPy for CUDA 11",
    ),
    "no GPU": (fake_cupy("cudaErrorNoDevice", 12090), "there is no NVIDIA GPU"),
    "no visible GPU": (fake_cupy(0, 12090), "there is no NVIDIA GPU"),
    "other": (fake_cupy("cudaErrorUnknown", 12090), "check that nvidia-smi shows the GPU"),
}


@pytest.mark.parametrize("name", REASONS)
def test_each_reason_has_its_sentence(
    name: str, install: Any, capsys: Any, monkeypatch: Any
) -> None:
    found, reason = REASONS[name]
    install(found)
    assert not sg.cuda.is_available()
    assert sg.cuda.device_count() == 0
    for use in (
        lambda: sg.zeros(2, device="cuda"),
        lambda: sg.ones(2).to("cuda:1"),
        lambda: sg.nn.Linear(2, 2).cuda(),
        lambda: sg.set_backend("cupy"),
        lambda: sg.cuda.synchronize(),
        lambda: sg.cuda.set_matmul_precision("tf32"),
    ):
        with pytest.raises(BackendError, match=reason):
            use()
    monkeypatch.setattr("sys.argv", ["scratchgan", "train", "--device", "cuda"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    out = capsys.readouterr()
    assert out.err.startswith("scratchgan: device 'cuda' cannot be used: ")
    assert out.err.count("\n") == 1
    monkeypatch.setattr("sys.argv", ["scratchgan", "info"])
    with pytest.raises(SystemExit):
        cli.main()
    assert fault.cuda_fault() in capsys.readouterr().out


def test_the_sentences_differ(install: Any) -> None:
    faults = set()
    for name in ("no driver", "old driver", "no GPU", "other"):
        install(REASONS[name][0])
        faults.add(fault.cuda_fault())
    assert len(faults) == 4


def test_a_gpu_that_is_not_there(install: Any) -> None:
    install(fake_cupy(2, 12090))
    with pytest.raises(
        BackendError, match="no GPU 'cuda:2' on this machine; it has cuda:0, cuda:1"
    ):
        sg.zeros(2, device="cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "", 0, "mps"])
def test_names_that_are_no_device(name: Any) -> None:
    with pytest.raises(BackendError, match="there is no device"):
        sg.zeros(2, device=name)


def test_the_cpu_needs_none_of_it() -> None:
    code = (
        "import sys, scratchgan as sg; x = sg.zeros(2, device='cpu').to('cpu').cpu();"
        "assert x.device == 'cpu'; assert not {'cupy', 'numba'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"SCRATCHGAN_BACKEND": "numpy"})


def test_cuda_takes_a_number_or_a_name():
    assert [devices.gpu(x) for x in (None, 1, "cuda", "cuda:1")] == [
        *("cuda", "cuda:1", "cuda", "cuda:1"),
    ]
    with pytest.raises(sg.BackendError, match="cuda: 'cpu' is no GPU"):
        sg.ones(2).cuda("cpu")
