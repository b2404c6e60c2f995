"""The step with this project, eager or recorded, as a user of its public API would write it."""

from collections.abc import Callable
from typing import Any

import scratchgan as sg
from benchmarks import problem
from benchmarks.worker import Ready, blas_threads, peak_resident, resident, serve, timed, versions
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
    target, one = sg.cat([sg.ones(batch, 1), sg.zeros(batch, 1)]), sg.ones(batch, 1)
    if device == "cuda":
        generator.to("cuda")
        discriminator.to("cuda")
        target, one = target.to("cuda"), one.to("cuda")
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


def prepare(batch: int, seconds: float, device: str, jit: bool, width: int = 1) -> Ready:
    if device == "cuda":
        problem.require_cuda(sg.cuda.is_available(), "scratchgan")

    def running(batch: int) -> tuple[Callable[[], Any], list[float]]:
        pool = [tuple(map(sg.from_numpy, arrays)) for arrays in problem.batches(batch)]
        if device == "cuda":
            pool = [tuple(x.to("cuda") for x in tensors) for tensors in pool]
        step = gan_step(batch, width, device)
        return problem.running(sg.jit(step) if jit else step, pool)

    running(1)  # what the first step loads and compiles is not what grows
    before = resident()
    run, check = running(batch)
    finish = sg.cuda.synchronize if device == "cuda" else lambda: None
    seconds_of_step = timed(run, seconds, finish)
    memory = peak_resident() - before
    about = {
        "versions": versions("numpy", "numba"),
        "threads": blas_threads(),
        "backend": sg.get_backend(),
    }
    return Ready(lambda: {**seconds_of_step(), "bytes": memory}, about, check)


if __name__ == "__main__":
    serve(prepare)
