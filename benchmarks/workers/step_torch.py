"""The step with eager PyTorch and one of its implementations of Adam."""

from collections.abc import Callable
from typing import Any

from benchmarks import problem
from benchmarks.worker import Ready, serve, timed, versions


def network(sizes: tuple[int, ...], seed: int, last: Any) -> Any:
    """A network of PyTorch's with the weights of the problem."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    for weight, bias in problem.weights(sizes, seed):
        linear = nn.Linear(*reversed(weight.shape))
        state = {"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)}
        linear.load_state_dict(state)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1], last)


def gan_step(batch: int, device: str, fused: bool) -> problem.Step:
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy

    g_sizes, d_sizes = problem.sizes()
    generator = network(g_sizes, 0, nn.Tanh()).to(device)
    discriminator = network(d_sizes, 1, nn.Sigmoid()).to(device)
    g_adam, d_adam = (
        torch.optim.Adam(
            network.parameters(), problem.LEARNING_RATE, problem.BETAS, fused=fused or None
        )
        for network in (generator, discriminator)
    )
    d_parameters = list(discriminator.parameters())
    one = torch.ones(batch, 1, device=device)
    target = torch.cat([one, torch.zeros_like(one)])

    def step(real: Any, d_noise: Any, g_noise: Any) -> tuple[Any, Any, Any, Any]:
        with torch.no_grad():
            fake = generator(d_noise)
        scores = discriminator(torch.cat([real, fake]))
        d_loss = binary_cross_entropy(scores, target) * 2
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

        for parameter in d_parameters:
            parameter.requires_grad = False
        g_loss = binary_cross_entropy(discriminator(generator(g_noise)), one)
        for parameter in d_parameters:
            parameter.requires_grad = True
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        d_real, d_fake = scores.detach().split(batch)
        return d_loss.detach(), g_loss.detach(), d_real.mean(), d_fake.mean()

    return step


def prepare(batch: int, seconds: float, device: str, fused: bool) -> Ready:
    return measured(lambda: gan_step(batch, device, fused), batch, seconds, device)


def measured(made: Callable[[], problem.Step], batch: int, seconds: float, device: str) -> Ready:
    """The step that ``made`` gives, on PyTorch's tensors."""
    import torch

    if device == "cuda":
        problem.require_cuda(torch.cuda.is_available(), "PyTorch")
    pool = [tuple(torch.from_numpy(x).to(device) for x in xs) for xs in problem.batches(batch)]
    run, check = problem.running(made(), pool)
    about = {"versions": versions("torch"), "threads": torch.get_num_threads()}
    if device == "cuda":
        about["gpu"] = torch.cuda.get_device_name()
        return Ready(timed(run, seconds, torch.cuda.synchronize), about, check)
    return Ready(timed(run, seconds), about, check)


if __name__ == "__main__":
    serve(prepare)
