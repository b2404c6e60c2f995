"""How the two players are scored.

D plays to maximise the value L(D, G) = E[log D(x)] + E[log(1 − D(G(z)))] (Goodfellow et al. 2014,
"Generative adversarial nets", eq. 1). For G there are two objectives. Both fall as D(G(z)) rises;
they differ in how steeply, where D sees through G.

All are written with the binary cross-entropy, −t log p − (1 − t) log(1 − p), which holds its
logarithms above −100: the mean of log p is −BCE(p, 1), that of log(1 − p) is −BCE(p, 0).
"""

from collections.abc import Callable

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.functional import binary_cross_entropy


def discriminator_loss(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """The loss of D, −E[log D(x)] − E[log(1 − D(G(z)))]: eq. 1 with its sign turned.

    Args:
        d_real: D(x), probabilities, any shape.
        d_fake: D(G(z)), probabilities, any shape.

    Returns:
        A scalar.
    """
    return binary_cross_entropy(d_real, 1.0) + binary_cross_entropy(d_fake, 0.0)


def minimax(d_fake: Tensor) -> Tensor:
    """The loss of G, E[log(1 − D(G(z)))]: its part of eq. 1 as written.

    The gradient with respect to D's last score (before the sigmoid) is −D(G(z)): it fades as D
    learns to see through G, just when G has most to learn.

    Args:
        d_fake: D(G(z)), probabilities, any shape.

    Returns:
        A scalar.
    """
    return -binary_cross_entropy(d_fake, 0.0)


def non_saturating(d_fake: Tensor) -> Tensor:
    """The loss of G, −E[log D(G(z))], the remedy of section 3 of the paper.

    The fixed point is that of :func:`minimax`, but the gradient with respect to D's last score is
    D(G(z)) − 1: strongest where D sees through G.

    Args:
        d_fake: D(G(z)), probabilities, any shape.

    Returns:
        A scalar.
    """
    return binary_cross_entropy(d_fake, 1.0)


#: What G can be told to minimise, by the name that the command line takes.
OBJECTIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "non-saturating": non_saturating,
    "minimax": minimax,
}
