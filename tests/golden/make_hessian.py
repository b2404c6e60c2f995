"""Writes hessian.npz: the Hessian of a small MLP with tanh, by PyTorch's two backward passes.

Run it with a Python that has PyTorch: ``python tests/golden/make_hessian.py``.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

SIZES = (3, 5, 4, 2)
random = np.random.default_rng(0)
x = random.standard_normal((6, SIZES[0]))
target = random.standard_normal((6, SIZES[-1]))
parameters = []
for n, m in pairwise(SIZES):
    parameters += [random.standard_normal((m, n)) / np.sqrt(n), random.standard_normal(m) / 10]


def loss(*parameters: torch.Tensor) -> torch.Tensor:
    h = torch.from_numpy(x)
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        h = torch.tanh(torch.nn.functional.linear(h, weight, bias))
    return ((h - torch.from_numpy(target)) ** 2).mean()


leaves = [torch.from_numpy(p).requires_grad_() for p in parameters]
value = loss(*leaves)
gradients = torch.autograd.grad(value, leaves, create_graph=True)
flat = torch.cat([g.reshape(-1) for g in gradients])
rows = [
    torch.cat([h.reshape(-1) for h in torch.autograd.grad(one, leaves, retain_graph=True)])
    for one in flat
]
np.savez_compressed(
    Path(__file__).with_name("hessian.npz"),
    x=x,
    target=target,
    **{f"parameter{i}": p for i, p in enumerate(parameters)},
    loss=value.item(),
    gradient=flat.detach().numpy(),
    hessian=torch.stack(rows).numpy(),
)
