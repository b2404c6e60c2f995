"""How the two players are scored: what each minimises, as a function of D's logits.

A logit is what D says before any sigmoid: any number, the larger the more real. The formulas below
are written with x for a real image, G(z) for a fake, d for a logit, and D = sigmoid(d) for the
probability that an image is real. Each loss is a mean over the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.functional import binary_cross_entropy_with_logits as cross_entropy


@dataclass(frozen=True)
class Objective:
    """The two losses that the players minimise.

    Attributes:
        discriminator: From the logits of real images, those of fakes, and the label of real images
            (1, or less where labels are smoothed) to D's loss, a scalar.
        generator: From the logits of fakes to G's loss; where ``is_relative``, from the logits of
            real images and of fakes.
        is_relative: Whether a fake is scored against a real image in G's move too.
        has_labels: Whether D's loss looks at the label of real images.
        is_probability: Whether sigmoid(d) is a probability; else only d itself says something.
        boundary: The d above which an image counts as real; None where only the difference of two
            d says something.
    """

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[..., Tensor]
    is_relative: bool = False
    has_labels: bool = False
    is_probability: bool = False
    boundary: float | None = 0.0


# --- Cross-entropy: D tells real from fake, G takes one of three ways -------------------


def tell_apart(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    """The loss of D, −E[log D(x)] − E[log(1 − D(G(z)))].

    It is eq. 1 of Goodfellow et al. 2014, "Generative adversarial nets", with its sign turned.
    With a ``label`` below 1 D is kept from being too sure of real images (one-sided label
    smoothing: Salimans et al. 2016, "Improved techniques for training GANs", section 3.4).
    """
    return cross_entropy(real, label) + cross_entropy(fake, 0.0)


def minimax(fake: Tensor) -> Tensor:
    """The loss of G, E[log(1 − D(G(z)))]: its part of eq. 1 as written.

    Its gradient with respect to d is −D(G(z)): it fades as D learns to see through G, just when G
    has most to learn.
    """
    return -cross_entropy(fake, 0.0)


def non_saturating(fake: Tensor) -> Tensor:
    """The loss of G, −E[log D(G(z))], the remedy of section 3 of Goodfellow et al. 2014.

    The fixed point is that of :func:`minimax`, but the gradient with respect to d is D(G(z)) − 1:
    strongest where D sees through G.
    """
    return cross_entropy(fake, 1.0)


def boundary_seeking(fake: Tensor) -> Tensor:
    """The loss of G, E[(log D(G(z)) − log(1 − D(G(z))))²] / 2 = E[d²] / 2.

    G seeks the images of which D cannot tell what they are (Hjelm et al. 2018, "Boundary-seeking
    generative adversarial networks", eq. 10).
    """
    return fake.square().mean() / 2


# --- Other distances --------------------------------------------------------------------


def squares_of_both(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    """The loss of D, E[(d(x) − 1)²] / 2 + E[d(G(z))²] / 2.

    Mao et al. 2017, "Least squares generative adversarial networks", eq. 9; a smoothed ``label``
    takes the place of its 1.
    """
    return ((real - label).square().mean() + fake.square().mean()) / 2


def squares(fake: Tensor) -> Tensor:
    """The loss of G, E[(d(G(z)) − 1)²] / 2 (Mao et al. 2017, eq. 9)."""
    return (fake - 1).square().mean() / 2


def hinges(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    """The loss of D, E[max(0, 1 − d(x))] + E[max(0, 1 + d(G(z)))].

    Images that are told apart by more than a margin teach D no more (Lim & Ye 2017, "Geometric
    GAN", eq. 17).
    """
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


def difference(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    """The loss of D, E[d(G(z))] − E[d(x)].

    Where d changes by no more than an image does, its least value is minus the Wasserstein distance
    between real images and fakes (Arjovsky et al. 2017, "Wasserstein GAN", eq. 2). Something must
    hold d to that: the clipping of weights, or a penalty on gradients.
    """
    return fake.mean() - real.mean()


def score(fake: Tensor) -> Tensor:
    """The loss of G, −E[d(G(z))] (Arjovsky et al. 2017, algorithm 1)."""
    return -fake.mean()


def real_above_fake(real: Tensor, fake: Tensor, label: float = 1.0) -> Tensor:
    """The loss of D, E[log(1 + exp(d(G(z)) − d(x)))]: each fake is told from one real image.

    Huang et al. 2024, "The GAN is dead; long live the GAN! A modern baseline GAN", eq. 2, after
    Jolicoeur-Martineau 2019, "The relativistic discriminator".
    """
    return (fake - real).softplus().mean()


def fake_above_real(real: Tensor, fake: Tensor) -> Tensor:
    """The loss of G, E[log(1 + exp(d(x) − d(G(z))))]: the reverse of :func:`real_above_fake`."""
    return (real - fake).softplus().mean()


#: The objectives, by the names that the command line takes.
OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(tell_apart, minimax, has_labels=True, is_probability=True),
    "non-saturating": Objective(tell_apart, non_saturating, has_labels=True, is_probability=True),
    "boundary-seeking": Objective(
        tell_apart, boundary_seeking, has_labels=True, is_probability=True
    ),
    "least-squares": Objective(squares_of_both, squares, has_labels=True, boundary=0.5),
    "hinge": Objective(hinges, score),
    "wasserstein": Objective(difference, score, boundary=None),
    "relativistic": Objective(real_above_fake, fake_above_real, is_relative=True, boundary=None),
}
