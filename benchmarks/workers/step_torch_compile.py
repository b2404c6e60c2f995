"""The step with torch.compile: one function with both backward passes and both Adams in it.

That is faster than compiled losses beside eager optimizers.
"""

from typing import Any

from benchmarks import problem
from benchmarks.worker import Ready, Skip, serve
from benchmarks.workers.step_torch import measured


def gan_step(batch: int, device: str) -> problem.Step:
    import torch
    from torch.func import grad_and_value
    from torch.nn.functional import binary_cross_entropy, linear

    g, d = (
        [
            torch.from_numpy(array).to(device)
            for layer in problem.weights(sizes, seed)
            for array in layer
        ]
        for seed, sizes in enumerate(problem.sizes())
    )
    g_moments, d_moments = (
        [(torch.zeros_like(x), torch.zeros_like(x)) for x in parameters] for parameters in (g, d)
    )
    count = torch.zeros((), device=device)
    one = torch.ones(batch, 1, device=device)
    target = torch.cat([one, torch.zeros_like(one)])

    def forward(parameters: Any, x: Any) -> Any:
        *hidden, weight, bias = parameters
        for w, b in zip(hidden[::2], hidden[1::2], strict=True):
            x = linear(x, w, b).relu()
        return linear(x, weight, bias)

    def generator(parameters: Any, noise: Any) -> Any:
        return forward(parameters, noise).tanh()

    def discriminator(parameters: Any, images: Any) -> Any:
        return forward(parameters, images).sigmoid()

    def discriminator_loss(parameters: Any, images: Any) -> tuple[Any, Any]:
        scores = discriminator(parameters, images)
        return binary_cross_entropy(scores, target) * 2, scores

    def generator_loss(parameters: Any, d: Any, noise: Any) -> Any:
        return binary_cross_entropy(discriminator(d, generator(parameters, noise)), one)

    def adam(parameters: Any, gradients: Any, moments: Any) -> None:
        beta1, beta2 = problem.BETAS
        step_size = problem.LEARNING_RATE / (1 - beta1**count)
        correction = (1 - beta2**count).sqrt()
        for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
            m.mul_(beta1).add_(g, alpha=1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            p.sub_(step_size * m / (v.sqrt() / correction + 1e-8))

    def step(real: Any, d_noise: Any, g_noise: Any) -> tuple[Any, Any, Any, Any]:
        count.add_(1)
        images = torch.cat([real, generator(g, d_noise)])
        gradients, (d_loss, scores) = grad_and_value(discriminator_loss, has_aux=True)(d, images)
        adam(d, gradients, d_moments)
        gradients, g_loss = grad_and_value(generator_loss)(g, d, g_noise)
        adam(g, gradients, g_moments)
        d_real, d_fake = scores.split(batch)
        return d_loss, g_loss, d_real.mean(), d_fake.mean()

    compiled = torch.compile(
        step,
        fullgraph=True,
        dynamic=False,
        mode="reduce-overhead" if device == "cuda" else None,  # CUDA graphs
    )

    def without_tape(*arguments: Any) -> Any:
        with torch.no_grad():
            return compiled(*arguments)

    return without_tape


def prepare(batch: int, seconds: float, device: str) -> Ready:
    return measured(lambda: checked_step(batch, device), batch, seconds, device)


def checked_step(batch: int, device: str) -> problem.Step:
    """The step, or a Skip where its compiler lacks what it needs: a C++ compiler, Triton."""
    import torch

    try:
        torch.compile(lambda x: x.tanh() + 1, fullgraph=True)(torch.ones(8, device=device))
    except Exception as error:  # of many types, which differ between its versions
        raise Skip(f"its compiler does not work here: {str(error).splitlines()[0]}") from error
    return gan_step(batch, device)


if __name__ == "__main__":
    serve(prepare)
