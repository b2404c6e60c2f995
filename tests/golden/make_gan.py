"""Makes gan.npz: losses and gradients of every objective and penalty, as PyTorch computes them.

    python tests/golden/make_gan.py

The formulas are written here once more, from the papers, with PyTorch's autograd and its double
backward. The discriminator is 12-5-1 with LeakyReLU 0.2, in float64.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import leaky_relu, relu, softplus

N = 6
LABEL = 0.9


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(25)
    return {
        "w1": rng.normal(size=(5, 12)),
        "b1": rng.normal(size=5),
        "w2": rng.normal(size=(1, 5)),
        "b2": rng.normal(size=1),
        "real": rng.uniform(-1, 1, (N, 1, 3, 4)),
        "fake": rng.uniform(-1, 1, (N, 1, 3, 4)),
        "shares": rng.uniform(size=(N, 1, 1, 1)),
    }


def bce(logits: torch.Tensor, label: float) -> torch.Tensor:
    p = torch.sigmoid(logits)
    return -(label * p.log() + (1 - label) * (1 - p).log()).mean()


D_LOSSES = {
    "minimax": lambda r, f: bce(r, LABEL) + bce(f, 0.0),
    "non-saturating": lambda r, f: bce(r, LABEL) + bce(f, 0.0),
    "boundary-seeking": lambda r, f: bce(r, LABEL) + bce(f, 0.0),
    "least-squares": lambda r, f: 0.5 * ((r - LABEL) ** 2).mean() + 0.5 * (f**2).mean(),
    "hinge": lambda r, f: relu(1 - r).mean() + relu(1 + f).mean(),
    "wasserstein": lambda r, f: f.mean() - r.mean(),
    "relativistic": lambda r, f: softplus(-(r - f)).mean(),
}
G_LOSSES = {
    "minimax": lambda r, f: (1 - torch.sigmoid(f)).log().mean(),
    "non-saturating": lambda r, f: -torch.sigmoid(f).log().mean(),
    "boundary-seeking": lambda r, f: (
        0.5 * (torch.sigmoid(f).log() - (1 - torch.sigmoid(f)).log()).pow(2).mean()
    ),
    "least-squares": lambda r, f: 0.5 * ((f - 1) ** 2).mean(),
    "hinge": lambda r, f: -f.mean(),
    "wasserstein": lambda r, f: -f.mean(),
    "relativistic": lambda r, f: softplus(-(f - r)).mean(),
}


def main() -> None:
    given = inputs()
    found: dict[str, np.ndarray] = dict(given)
    tensors = {name: torch.tensor(array) for name, array in given.items()}
    parameters = [tensors[name].requires_grad_() for name in ("w1", "b1", "w2", "b2")]
    real, fake = tensors["real"], tensors["fake"]

    def d(x: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2 = parameters
        return leaky_relu(x.flatten(1) @ w1.T + b1, 0.2) @ w2.T + b2

    def norms(x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
        return slopes.flatten(1).norm(dim=1)

    between = real + tensors["shares"] * (fake - real)
    penalties = {
        "gradient": lambda: ((norms(between) - 1) ** 2).mean(),
        "r1": lambda: 0.5 * (norms(real) ** 2).mean(),
        "r1-r2": lambda: 0.5 * (norms(real) ** 2).mean() + 0.5 * (norms(fake) ** 2).mean(),
    }

    def record(name: str, loss: torch.Tensor, to: list[torch.Tensor]) -> None:
        found[f"{name} loss"] = loss.detach().numpy()
        for number, gradient in enumerate(torch.autograd.grad(loss, to, allow_unused=True)):
            zero = torch.zeros_like(to[number])
            found[f"{name} {number}"] = (zero if gradient is None else gradient).numpy()

    for name, loss in D_LOSSES.items():
        record(f"D {name}", loss(d(real), d(fake)), parameters)
    x = fake.clone().requires_grad_()
    for name, loss in G_LOSSES.items():
        record(f"G {name}", loss(d(real), d(x)), [x])
    for name, penalty in penalties.items():
        record(f"penalty {name}", penalty(), parameters)
    np.savez_compressed(Path(__file__).with_name("gan.npz"), **found)


if __name__ == "__main__":
    main()
