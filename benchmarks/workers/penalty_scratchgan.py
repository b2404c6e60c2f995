"""The step of a Wasserstein GAN with gradient penalty, eager or recorded, with this project."""

from typing import Any

import scratchgan as sg
from benchmarks import problem
from benchmarks.worker import Ready, serve, timed, versions
from benchmarks.workers.step_scratchgan import network
from scratchgan import nn, optim


def penalty_step(batch: int) -> problem.Step:
    g_sizes, d_sizes = problem.sizes()
    generator = network(g_sizes, 0, nn.Tanh())
    critic = network(d_sizes, 1, nn.Identity())
    g_adam, d_adam = (
        optim.Adam(network.parameters(), problem.LEARNING_RATE, (0.0, 0.9))
        for network in (generator, critic)
    )
    d_parameters = list(critic.parameters())
    shares = sg.from_numpy(problem.shares(batch))

    def step(real: sg.Tensor, d_noise: sg.Tensor, g_noise: sg.Tensor) -> Any:
        with sg.no_grad():
            fake = generator(d_noise)
        between = real + shares * (fake - real)
        between.requires_grad = True
        (slopes,) = sg.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = (slopes.square().sum(1).sqrt() - 1).square().mean()
        d_real, d_fake = critic(sg.cat([real, fake])).split(batch)
        d_loss = d_fake.mean() - d_real.mean() + 10 * penalty
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

        for parameter in d_parameters:
            parameter.requires_grad = False
        g_loss = -critic(generator(g_noise)).mean()
        for parameter in d_parameters:
            parameter.requires_grad = True
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        return d_loss.detach(), g_loss.detach(), penalty.detach(), d_real.detach().mean()

    return step


def prepare(batch: int, seconds: float, jit: bool) -> Ready:
    step = penalty_step(batch)
    pool = [tuple(map(sg.from_numpy, arrays)) for arrays in problem.batches(batch)]
    run, check = problem.running(sg.jit(step) if jit else step, pool)
    about = {"versions": versions("numpy", "numba"), "threads": sg.get_num_threads()}
    return Ready(timed(run, seconds), about, check)


if __name__ == "__main__":
    serve(prepare)
