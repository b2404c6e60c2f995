"""Penalties on D: how steep its logits may be, as functions of images.

The gradient of a logit with respect to its image is taken with ``create_graph=True``, so that the
penalty can be differentiated again, with respect to D's weights: second derivatives, through the
same tape. D must score each image by itself (no batch norm in it), or the gradients mix.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scratchgan.autograd import grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.functions import cat, split
from scratchgan.random import rand

#: D with the labels in it: images (N, ...) to logits (N, 1).
Scorer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Penalty:
    """A term of D's loss that looks at D's slopes.

    Attributes:
        of: From D, real images and as many fakes to a scalar.
        weight: The factor that its paper takes.
    """

    of: Callable[[Scorer, Tensor, Tensor], Tensor]
    weight: float


def squared_slopes(discriminator: Scorer, images: Tensor) -> Tensor:
    """|∇d(x)|² of each image, (N,).

    Args:
        discriminator: Images (N, ...) to logits (N, 1), each by itself.
        images: (N, ...); their own history plays no part.
    """
    images = images.detach()
    images.requires_grad = True
    (slopes,) = grad(discriminator(images).sum(), images, create_graph=True)
    rows: Tensor = slopes.reshape(len(images), -1)
    return rows.square().sum(1)


def one_slope(discriminator: Scorer, real: Tensor, fake: Tensor) -> Tensor:
    """E[(|∇d(x̂)| − 1)²] at random places x̂ between a real image and a fake.

    Gulrajani et al. 2017, "Improved training of Wasserstein GANs", eq. 3. The places are drawn from
    the default stream.
    """
    shares = rand(len(real), *[1] * (real.ndim - 1), device=real.device).to(real.dtype)
    between = real + shares * (fake - real)
    slopes = squared_slopes(discriminator, between)
    # The root has no slope at 0, where D is flat.
    return ((slopes + 1e-12).sqrt() - 1).square().mean()


def flat_at_real(discriminator: Scorer, real: Tensor, fake: Tensor) -> Tensor:
    """R1, E[|∇d(x)|²] / 2 (Mescheder et al. 2018, "Which training methods ...", eq. 9)."""
    return squared_slopes(discriminator, real).mean() / 2


def flat_at_both(discriminator: Scorer, real: Tensor, fake: Tensor) -> Tensor:
    """R1 and R2, E[|∇d(x)|²] / 2 + E[|∇d(G(z))|²] / 2.

    Huang et al. 2024, "The GAN is dead; long live the GAN!", eq. 4, after Mescheder et al. 2018.
    """
    slopes = squared_slopes(discriminator, cat([real, fake]))
    at_real, at_fake = split(slopes, [len(real), len(fake)])
    return (at_real.mean() + at_fake.mean()) / 2


#: The penalties, by the names that the command line takes.
PENALTIES: dict[str, Penalty | None] = {
    "none": None,
    "gradient": Penalty(one_slope, 10.0),
    "r1": Penalty(flat_at_real, 1.0),
    "r1-r2": Penalty(flat_at_both, 1.0),
}
