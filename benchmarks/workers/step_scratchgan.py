"""The step with this project, eager or recorded, as a user of its public API would write it."""

from collections.abc import Callable
from typing import Any

import scratchgan as sg
from benchmarks import problem
from benchmarks.worker import (
    Ready,
    Skip,
    peak_resident,
    resident,
    serve,
    timed,
    versions,
)
from scratchgan import nn, optim


def network(sizes: tuple[int, ...], seed: int, last: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in problem.weights(sizes, seed):
        linear = nn.Linear(*reversed(weight.shape))
        linear.load_state_dict({"weight": weight, "bias": bias})
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1], last)


def gan_step(batch: int, width: int, device: str) -> problem.Step:
    g_sizes, d_sizes = problem.sizes(width)
    generator = network(g_sizes, 0, nn.Tanh())
    discriminator = network(d_sizes, 1, nn.Sigmoid())
    generator.to(device)
    discriminator.to(device)
    one = sg.ones(batch, 1).to(device)
    target = sg.cat([one, sg.zeros_like(one)])
    g_adam, d_adam = (
        optim.Adam(network.parameters(), problem.LEARNING_RATE, problem.BETAS)
        for network in (generator, discriminator)
    )
    d_parameters = list(discriminator.parameters())

    def step(real: sg.Tensor, d_noise: sg.Tensor, g_noise: sg.Tensor) -> Any:
        with sg.no_grad():
            fake = generator(d_noise)
        scores = discriminator(sg.cat([real, fake]))
        d_loss = nn.functional.binary_cross_entropy(scores, target) * 2
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

        for parameter in d_parameters:
            parameter.requires_grad = False
        g_loss = nn.functional.binary_cross_entropy(discriminator(generator(g_noise)), one)
        for parameter in d_parameters:
            parameter.requires_grad = True
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        d_real, d_fake = scores.detach().split(batch)
        return d_loss.detach(), g_loss.detach(), d_real.mean(), d_fake.mean()

    return step


def prepare(
    batch: int, seconds: float, device: str, jit: bool, width: int = 1, memory: bool = False
) -> Ready:
    """With ``memory``, samples also hold the peak of what the process holds for these steps."""
    try:
        sg.zeros(1).to(device)
    except sg.BackendError as error:
        raise Skip(str(error)) from error

    def running(batch: int) -> tuple[Callable[[], Any], list[float]]:
        pool = [
            tuple(sg.from_numpy(array).to(device) for array in arrays)
            for arrays in problem.batches(batch)
        ]
        step = gan_step(batch, width, device)
        return problem.running(sg.jit(step) if jit else step, pool)

    if memory:
        running(1)  # what the first step of all loads and compiles is not what grows
        before = resident()
    run, check = running(batch)
    about: dict[str, Any] = {"versions": versions("numpy", "numba")}
    if device == "cuda":
        about["gpu"] = sg.cuda.get_device_name()
        sample = timed(run, seconds, sg.cuda.synchronize)
    else:
        about |= {"threads": sg.get_num_threads(), "backend": sg.get_backend()}
        sample = timed(run, seconds)
    if not memory:
        return Ready(sample, about, check)
    grown = peak_resident() - before
    return Ready(lambda: {**sample(), "bytes": grown}, about, check)


if __name__ == "__main__":
    serve(prepare)
