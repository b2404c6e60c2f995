"""The adversarial game: one step of it is a move of D and a move of G.

Goodfellow et al. 2014, "Generative adversarial nets", algorithm 1 with k = 1, and Adam in the place
of momentum. Nothing here reads a value, so that a step can be recorded and replayed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from scratchgan import optim
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.functions import concatenate
from scratchgan.gan import networks
from scratchgan.gan.objectives import OBJECTIVES, discriminator_loss

#: Adam's averages are shorter than usual, so that each player can follow the other
#: (Radford et al. 2016, "Unsupervised representation learning with DCGAN", section 4).
BETAS = (0.5, 0.999)


class DiscriminatorMove(NamedTuple):
    """The result of D's move, each a scalar tensor."""

    loss: Tensor
    d_real: Tensor  #: Mean of D(x).
    d_fake: Tensor  #: Mean of D(G(z)).


class Moves(NamedTuple):
    """The result of a step, each a scalar tensor."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    d_real: Tensor
    d_fake: Tensor

    def read(self) -> tuple[float, float, float, float]:
        """The values, in order; this waits for the device that computes them."""
        loss_d, loss_g, d_real, d_fake = map(float, self)
        return loss_d, loss_g, d_real, d_fake


class GAN:
    """A generator, a discriminator, and an optimizer for each.

    The first weights are drawn from the default stream, which :func:`scratchgan.manual_seed` seeds.

    Args:
        latent_dim: Length of the noise vectors.
        objective: What G minimises, a name in :data:`scratchgan.gan.objectives.OBJECTIVES`.
        lr: Learning rate of both optimizers.
        device: Where all of it lies.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        objective: str = "non-saturating",
        lr: float = 2e-4,
        device: str = "cpu",
    ) -> None:
        self.generator = networks.generator(latent_dim).to(device)
        self.discriminator = networks.discriminator().to(device)
        self.generator_loss = OBJECTIVES[objective]
        self.generator_optimizer = optim.Adam(self.generator.parameters(), lr, BETAS)
        self.discriminator_optimizer = optim.Adam(self.discriminator.parameters(), lr, BETAS)
        # Kept as a list: to find them anew in every step would take longer than to use them.
        self._discriminator_parameters = list(self.discriminator.parameters())

    def step(self, real: Tensor, d_noise: Tensor, g_noise: Tensor) -> Moves:
        """One step of the game: D moves, then G.

        Args:
            real: Images (N, 1, 28, 28).
            d_noise: (M, latent_dim), for the fakes that D sees.
            g_noise: (N, latent_dim), for the fakes that G learns from.
        """
        loss, d_real, d_fake = self.discriminator_step(real, d_noise)
        return Moves(loss, self.generator_step(g_noise), d_real, d_fake)

    def discriminator_step(self, real: Tensor, noise: Tensor) -> DiscriminatorMove:
        """D learns to tell real images from fakes; G stays as it is.

        Args:
            real: Images (N, 1, 28, 28).
            noise: (M, latent_dim), from which G makes the fakes.

        Returns:
            The loss and the mean scores before the update.
        """
        with no_grad():
            fake = self.generator(noise)
        # One pass over both: the same scores as from two passes, in fewer and larger products.
        scores = self.discriminator(concatenate([real, fake]))
        d_real, d_fake = scores.split([len(real), len(fake)])
        loss = discriminator_loss(d_real, d_fake)
        self.discriminator_optimizer.zero_grad()
        loss.backward()
        self.discriminator_optimizer.step()
        return DiscriminatorMove(loss.detach(), d_real.detach().mean(), d_fake.detach().mean())

    def generator_step(self, noise: Tensor) -> Tensor:
        """G learns to pass its fakes for real; D stays as it is.

        Args:
            noise: (N, latent_dim), from which G makes the fakes.

        Returns:
            The loss before the update, a scalar.
        """
        with frozen(self._discriminator_parameters):
            loss = self.generator_loss(self.discriminator(self.generator(noise)))
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()
        return loss.detach()


@contextmanager
def frozen(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Within the ``with`` block ``parameters`` count as constants, and cost no gradients.

    Gradients still pass through the module that they belong to, to its input.
    """
    before = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter, requires_grad in zip(parameters, before, strict=True):
            parameter.requires_grad = requires_grad
