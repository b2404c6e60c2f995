"""The table of what is measured: contenders, cases, and what is compared with what."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: How long a turn is timed, in seconds, and in a quick run.
TURN, QUICK_TURN = 1.0, 0.2


@dataclass(frozen=True)
class Contender:
    """A script of :mod:`benchmarks.workers`, and the settings that it always gets."""

    name: str
    script: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """Settings that all contenders get; ``size`` is what a growth is measured against."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True)
class Comparison:
    """How many times what one contender takes another takes, the best of each where several."""

    name: str
    over: tuple[str, ...]
    under: tuple[str, ...]


@dataclass(frozen=True)
class Measurement:
    """Contenders that take turns at each case.

    Attributes:
        key: Under which the results are filed.
        title: One line.
        quantities: What a sample holds, by name in the sample: the unit.
        contenders: In the order of their turns.
        cases: One after another.
        comparisons: Of the first quantity.
        fits_growth: Whether exponents are fitted over the sizes of the cases.
        floor: The contender that a plot shows the others relative to.
    """

    key: str
    title: str
    quantities: dict[str, str]
    contenders: tuple[Contender, ...]
    cases: tuple[Case, ...]
    comparisons: tuple[Comparison, ...] = ()
    fits_growth: bool = False
    floor: str | None = None


# --- The step -----------------------------------------------------------------------------

PRODUCTS = "25 products alone"
EAGER, JIT, ON_CPU = "scratchgan eager", "scratchgan jit", "scratchgan jit on the CPU"
TORCH, TORCH_FUSED = "PyTorch, Adam", "PyTorch, fused Adam"
TORCH_COMPILED, JAX = "torch.compile", "JAX jit"


def step(quick: bool, device: str) -> tuple[Measurement, ...]:
    """The training step of the GAN."""
    batches = [64, 128, 512, 2048] + ([8192] if device == "cuda" else [])
    settings = {"seconds": QUICK_TURN if quick else TURN}
    here = {"device": device}
    contenders = [
        Contender(PRODUCTS, "step_products", here),
        Contender(JIT, "step_scratchgan", {**here, "jit": True}),
        Contender(EAGER, "step_scratchgan", {**here, "jit": False}),
        Contender(TORCH, "step_torch", {**here, "fused": False}),
        Contender(TORCH_FUSED, "step_torch", {**here, "fused": True}),
        Contender(TORCH_COMPILED, "step_torch_compile", here),
        Contender(JAX, "step_jax", here),
    ]
    comparisons = [
        Comparison("scratchgan jit over the products alone", (JIT,), (PRODUCTS,)),
        Comparison(
            "fastest peer over scratchgan jit", (TORCH, TORCH_FUSED, TORCH_COMPILED, JAX), (JIT,)
        ),
        Comparison("best PyTorch eager over scratchgan eager", (TORCH, TORCH_FUSED), (EAGER,)),
    ]
    if device == "cuda":
        cpu = Contender(ON_CPU, "step_scratchgan", {"device": "cpu", "jit": True})
        contenders.append(cpu)
        comparisons.append(Comparison("CPU over GPU, scratchgan jit", (ON_CPU,), (JIT,)))
    return (
        Measurement(
            "step",
            "One training step of the GAN",
            {"seconds": "s"},
            tuple(contenders),
            tuple(
                Case(f"batch {n}", {"batch": n, **settings}) for n in batches[:: 2 if quick else 1]
            ),
            tuple(comparisons),
            floor=PRODUCTS,
        ),
    )


def penalty(quick: bool, device: str) -> tuple[Measurement, ...]:
    """A step with second derivatives, of the Wasserstein GAN with gradient penalty."""
    settings = {"seconds": QUICK_TURN if quick else TURN}
    return (
        Measurement(
            "penalty",
            "One training step with a gradient penalty",
            {"seconds": "s"},
            (
                Contender(JIT, "penalty_scratchgan", {"jit": True}),
                Contender(EAGER, "penalty_scratchgan", {"jit": False}),
                Contender("PyTorch", "penalty_torch"),
            ),
            tuple(Case(f"batch {n}", {"batch": n, **settings}) for n in (64, 512)),
            (
                Comparison("PyTorch over scratchgan jit", ("PyTorch",), (JIT,)),
                Comparison("PyTorch over scratchgan eager", ("PyTorch",), (EAGER,)),
            ),
            floor=JIT,
        ),
    )


# --- The rest -------------------------------------------------------------------------------


def small(quick: bool, device: str) -> tuple[Measurement, ...]:
    """One small operation with its backward."""
    seconds = QUICK_TURN if quick else TURN
    names = {"mul": "x * y", "tanh": "tanh(x)", "sum": "sum(x)"}
    ours, torch, autograd, mygrad = "scratchgan", "PyTorch", "HIPS autograd", "MyGrad"
    unguarded = "MyGrad, no memory guard"
    return (
        Measurement(
            "small",
            "One operation on 4 numbers and its backward",
            {"seconds": "s"},
            (
                Contender(ours, "small_scratchgan"),
                Contender(torch, "small_torch"),
                Contender(autograd, "small_autograd"),
                Contender(mygrad, "small_mygrad", {"guards": True}),
                Contender(unguarded, "small_mygrad", {"guards": False}),
                Contender("micrograd", "small_micrograd"),
            ),
            tuple(
                Case(name, {"operation": operation, "seconds": seconds})
                for operation, name in names.items()
            ),
            (
                Comparison("scratchgan over PyTorch", (ours,), (torch,)),
                Comparison("HIPS autograd over scratchgan", (autograd,), (ours,)),
                Comparison("MyGrad over scratchgan", (mygrad,), (ours,)),
                Comparison("MyGrad, no memory guard, over scratchgan", (unguarded,), (ours,)),
            ),
        ),
    )


def growth(quick: bool, device: str) -> tuple[Measurement, ...]:
    """How time and memory grow with the batch, the width of the networks, and the tape."""
    seconds = QUICK_TURN if quick else TURN
    step = {"device": "cpu", "seconds": seconds, "memory": True}
    steps = (
        Contender(JIT, "step_scratchgan", {**step, "jit": True}),
        Contender(EAGER, "step_scratchgan", {**step, "jit": False}),
    )
    quantities = {"seconds": "s", "bytes": "B"}
    batches = [64, 256, 1024] if quick else [64, 128, 256, 512, 1024, 2048, 4096]
    widths = [1, 2, 4] if quick else [1, 2, 4, 8, 16]
    depths = [10, 100, 1000] if quick else [10, 100, 1000, 10_000, 100_000]
    return (
        Measurement(
            "growth with the batch",
            "A step and its memory, by the size of the batch",
            quantities,
            steps,
            tuple(Case(f"{n}", {"batch": n}, n) for n in batches),
            fits_growth=True,
        ),
        Measurement(
            "growth with the width",
            "A step of batch 64 and its memory, by the width of the hidden layers",
            quantities,
            steps,
            tuple(Case(f"×{n}", {"batch": 64, "width": n}, n) for n in widths),
            fits_growth=True,
        ),
        Measurement(
            "growth with the tape",
            "A chain of products of 4 numbers, forward and backward, by its length",
            quantities,
            (
                Contender(EAGER, "tape_scratchgan", {"seconds": seconds}),
                Contender("PyTorch", "tape_torch", {"seconds": seconds}),
            ),
            tuple(Case(f"{n:,}", {"depth": n}, n) for n in depths),
            fits_growth=True,
        ),
    )


def memory(quick: bool, device: str) -> tuple[Measurement, ...]:
    """Peak memory of a training process."""
    return (
        Measurement(
            "memory",
            "Peak resident memory of a training",
            {"bytes": "B"},
            _TRAININGS,
            (_training(1, quick, device),),
            (Comparison("PyTorch over scratchgan", ("PyTorch",), ("scratchgan train",)),),
        ),
    )


def training(quick: bool, device: str) -> tuple[Measurement, ...]:
    """A whole training, from the command to its last file, and a step of it."""
    steps = Measurement(
        "training step",
        "A step of scratchgan train with its batch and noise, and the replay's share of it",
        {"seconds": "s", "seconds of the replay": "s", "share": ""},
        (Contender("scratchgan train", "training_step"),),
        tuple(Case(f"batch {n}", {"batch": n}) for n in ((600,) if quick else (64, 128, 512))),
    )
    return (
        Measurement(
            "training",
            "A whole training, from the command to its last file",
            {"seconds": "s"},
            _TRAININGS,
            (_training(1 if quick else 2, quick, device),),
            (Comparison("PyTorch over scratchgan", ("PyTorch",), ("scratchgan train",)),),
        ),
        *([steps] if device == "cpu" else []),
    )


_TRAININGS = (
    Contender("scratchgan train", "training", {"package": "scratchgan"}),
    Contender("PyTorch", "training", {"package": "torch"}),
)


def _training(epochs: int, quick: bool, device: str) -> Case:
    batch = 600 if quick else 64
    name = f"{epochs * 60_000:,} images, batch {batch}"
    return Case(name, {"epochs": epochs, "batch": batch, "device": device})


def busy(quick: bool, device: str) -> tuple[Measurement, ...]:
    """A training beside processes that want the cores too."""
    return (
        Measurement(
            "busy",
            "A whole training beside busy processes",
            {
                "images per second": "",
                "time over that alone": "",
                "time over that of fair shares": "",
            },
            tuple(
                Contender(name, "busy", {"package": package})
                for name, package in (("scratchgan train", "scratchgan"), ("PyTorch", "torch"))
            ),
            tuple(
                Case(name, {"epochs": 1, "others": others})
                for others, name in enumerate(("alone", "beside one", "beside two"))
            ),
            (Comparison("scratchgan over PyTorch", ("scratchgan train",), ("PyTorch",)),),
        ),
    )


def startup(quick: bool, device: str) -> tuple[Measurement, ...]:
    """How long until something happens."""
    whats = ("import numpy", "import scratchgan", "help", "warm", "cold")
    names = {
        "help": "scratchgan --help",
        "warm": "first step of scratchgan train",
        "cold": "first step, no kernel compiled yet",
    }
    return (
        Measurement(
            "startup",
            "From the start until it is done",
            {"seconds": "s"},
            tuple(Contender(names.get(what, what), "startup", {"what": what}) for what in whats),
            (Case("start"),),
            (
                Comparison(
                    "import scratchgan over import numpy", ("import scratchgan",), ("import numpy",)
                ),
            ),
        ),
    )


def replay(quick: bool, device: str) -> tuple[Measurement, ...]:
    """Page faults and growth of the process in replays."""
    count = 1000 if quick else 10_000
    return (
        Measurement(
            "replay",
            "Page faults and growth of the process",
            {"faults": "", "bytes": "B"},
            (
                Contender(JIT, "replay", {"what": "jit"}),
                Contender(PRODUCTS, "replay", {"what": "products"}),
            ),
            (Case(f"{count:,} steps of batch 64", {"count": count}),),
        ),
    )


#: By the names that the command takes, in the order in which they run.
MEASUREMENTS: dict[str, Callable[[bool, str], tuple[Measurement, ...]]] = {
    "step": step,
    "penalty": penalty,
    "small": small,
    "growth": growth,
    "memory": memory,
    "startup": startup,
    "training": training,
    "busy": busy,
    "replay": replay,
}

#: The measurements that also run on a GPU.
ON_CUDA = ("step", "training")
