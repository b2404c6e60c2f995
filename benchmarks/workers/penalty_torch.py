"""The step of a Wasserstein GAN with gradient penalty, with eager PyTorch."""

from typing import Any

from benchmarks import problem
from benchmarks.worker import Ready, serve
from benchmarks.workers.step_torch import measured, network


def penalty_step(batch: int) -> problem.Step:
    import torch
    from torch import nn

    g_sizes, d_sizes = problem.sizes()
    generator, critic = network(g_sizes, 0, nn.Tanh()), network(d_sizes, 1, nn.Identity())
    g_adam, d_adam = (
        torch.optim.Adam(network.parameters(), problem.LEARNING_RATE, (0.0, 0.9), fused=True)
        for network in (generator, critic)
    )
    d_parameters = list(critic.parameters())
    shares = torch.from_numpy(problem.shares(batch))

    def step(real: Any, d_noise: Any, g_noise: Any) -> tuple[Any, Any, Any, Any]:
        with torch.no_grad():
            fake = generator(d_noise)
        between = (real + shares * (fake - real)).requires_grad_()
        (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = (slopes.square().sum(1).sqrt() - 1).square().mean()
        d_real, d_fake = critic(torch.cat([real, fake])).split(batch)
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


def prepare(batch: int, seconds: float) -> Ready:
    return measured(lambda: penalty_step(batch), batch, seconds, "cpu")


if __name__ == "__main__":
    serve(prepare)
