"""Uses of a trained generator: ways between its images, and images that it can draw.

A generator draws one image for each noise vector. The functions here go along lines between noise
vectors, and look for the vector whose image is most like a given one, by gradients with respect to
the noise through the frozen generator.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratchgan import nn, optim
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.data.batches import to_float
from scratchgan.gan.files import RunError
from scratchgan.gan.game import frozen
from scratchgan.gan.measures import nearest
from scratchgan.gan.runs import Run
from scratchgan.gan.sampling import (
    MAX_IMAGES,
    Stream,
    check_seed,
    draw,
    generate,
    label_of,
    labels_in_turn,
)
from scratchgan.gan.trainer import load_images
from scratchgan.jit import jit
from scratchgan.random import Generator, randn

#: Vectors from which a search begins, and those for each class; the best of them wins.
_STARTS, _STARTS_OF_A_CLASS = 32, 8
#: What the mean square of the noise counts for beside that of the pixels' errors. Noise is normal,
#: so that long noise is unlikely; which says little where all pixels are known, and much where they
#: are not: very different images, one of each class at the least, agree with those that are.
_LENGTH_IN_PROJECT, _LENGTH_IN_INPAINT = 1e-3, 0.02
#: Share of the pixels' error that D's opinion counts for in :func:`inpaint` (Yeh et al. 2017,
#: section 3.2, where it is 0.003 for larger images).
_PRIOR = 0.003


def slerp(a: NDArray[np.float32], b: NDArray[np.float32], shares: NDArray[np.float32]) -> Tensor:
    """Vectors on the way from ``a`` to ``b`` that are as long as normal noise is.

    Straight lines between two vectors of noise pass by vectors that are too short, of which a
    generator has seen none; an arc does not (White 2016, "Sampling generative networks", section
    2).

    Args:
        a: (latent_dim,).
        b: (latent_dim,).
        shares: (n,), from 0 at ``a`` to 1 at ``b``.

    Returns:
        (n, latent_dim).
    """
    cosine = np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    t = shares[:, None]
    if np.sin(angle) < 1e-6:  # on one line: there is no arc, or there are many
        return as_tensor(((1 - t) * a + t * b).astype(np.float32))
    way = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return as_tensor(way.astype(np.float32))


def interpolate(
    run: Run, seeds: list[int], steps: int, digits: list[str] | None = None
) -> NDArray[np.uint8]:
    """Images on the way from the image of each seed to that of the next.

    Args:
        run: With a generator.
        seeds: Of the noise, at least two.
        steps: Images from one seed to the next, the first included, at least 1.
        digits: Of which class each seed's image is, if the generator is conditional; the classes in
            turn if not given.

    Returns:
        uint8 (steps * (len(seeds) - 1) + 1, height, width).

    Raises:
        RunError: There are fewer than two seeds, or not as many digits, or one is unknown.
    """
    if len(seeds) < 2:
        raise RunError(f"there are {len(seeds)} seeds; a way needs two or more")
    if steps < 1:
        raise RunError(f"steps is {steps}; it must be an integer from 1 on")
    if digits is not None and len(digits) != len(seeds):
        raise RunError(f"there are {len(digits)} digits for {len(seeds)} seeds; give as many")
    generator = run.load_generator()
    ends = [_noise(run, seed, 1).numpy()[0] for seed in seeds]
    labels = (
        labels_in_turn(run, len(seeds))
        if digits is None
        else [label_of(run, digit) for digit in digits]
    )
    shares = np.linspace(0, 1, steps + 1, dtype=np.float32)
    images = []
    for place in range(len(seeds) - 1):
        is_last = place == len(seeds) - 2
        part = shares if is_last else shares[:-1]  # the next part begins with the end of this
        z = slerp(ends[place], ends[place + 1], part)
        if labels is None:
            images.append(draw(generator, z))
            continue
        # From one class to another it is the row of classes that changes by and by.
        rows = np.eye(len(run.subject.names), dtype=np.float32)
        start, end = rows[labels[place]], rows[labels[place + 1]]
        mixed = start + part[:, None] * (end - start)
        images.append(draw(generator, z, as_tensor(mixed)))
    return np.concatenate(images)


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        image: uint8 (height, width), what the generator draws.
        noise: (latent_dim,), of what.
        label: The class that it was drawn as, if the generator is conditional.
        error: Mean squared error of the known pixels, of which each lies between 0 and 1.
    """

    image: NDArray[np.uint8]
    noise: NDArray[np.float32]
    label: int | None
    error: float


def project(run: Run, image: NDArray[np.uint8], steps: int = 300, seed: int = 0) -> Found:
    """The noise whose image is most like a given one.

    Args:
        run: With a generator.
        image: uint8 (height, width), of the generator's size.
        steps: Of Adam.
        seed: Of the vectors that the search begins with.

    Raises:
        RunError: The image has another size, or the generator cannot be loaded.
    """
    known = np.ones(image.shape, bool)
    return _search(run, image, known, steps, seed, _LENGTH_IN_PROJECT)


def inpaint(
    run: Run, image: NDArray[np.uint8], known: NDArray[np.bool_], steps: int = 300, seed: int = 0
) -> tuple[NDArray[np.uint8], Found]:
    """An image whose hidden pixels the generator has drawn anew.

    The search is for likely noise whose image agrees with the known pixels and is taken for real by
    D (Yeh et al. 2017, "Semantic image inpainting with deep generative models", eq. 4 to 6).

    Args:
        run: With a generator and a discriminator.
        image: uint8 (height, width), of the generator's size.
        known: bool (height, width), False where a pixel is hidden; what it holds is not looked at.
        steps: Of Adam.
        seed: Of the vectors that the search begins with.

    Returns:
        The image, its known pixels as they were, and what was found.

    Raises:
        RunError: A size is another, nothing is known, or a network cannot be loaded.
    """
    if known.shape != image.shape:
        raise RunError(
            f"the mask has {known.shape[1]}x{known.shape[0]} pixels, but the image has "
            f"{image.shape[1]}x{image.shape[0]}"
        )
    if not known.any():
        raise RunError("the mask hides every pixel; leave some")
    if known.all():
        raise RunError("the mask hides nothing; make white what is to be drawn anew")
    discriminator = run.load_discriminator()
    found = _search(run, image, known, steps, seed, _LENGTH_IN_INPAINT, discriminator)
    return np.where(known, image, found.image), found


def _noise(run: Run, seed: int, n: int) -> Tensor:
    check_seed(seed)
    return randn(n, run.config.latent_dim, generator=Generator(seed, Stream.GENERATE))


def _search(
    run: Run,
    image: NDArray[np.uint8],
    known: NDArray[np.bool_],
    steps: int,
    seed: int,
    length: float,
    discriminator: nn.Module | None = None,
) -> Found:
    """The best of several searches that go on side by side, as the rows of one batch.

    The best has the least of its pixels' error, of its noise's length, which counts ``length``, and
    of what D, if it is asked, has against it.
    """
    if image.shape != run.subject.shape:
        height, width = run.subject.shape
        raise RunError(
            f"the image has {image.shape[1]}x{image.shape[0]} pixels; this generator draws "
            f"{width}x{height}"
        )
    if steps < 1:
        raise RunError(f"steps is {steps}; it must be an integer from 1 on")
    generator = run.load_generator()
    classes, starts = 1, _STARTS
    if run.config.conditional:
        classes, starts = len(run.subject.names), _STARTS_OF_A_CLASS
    labels = np.arange(starts * classes) % classes
    seen = [as_tensor(labels)] if run.config.conditional else []
    z = _noise(run, seed, len(labels))
    z.requires_grad = True
    adam = optim.Adam([z], lr=0.05)
    target = to_float(as_tensor(image))
    weight = as_tensor(known.astype(np.float32) / known.sum())
    fixed = [*generator.parameters(), *(discriminator.parameters() if discriminator else ())]

    def errors(drawn: Tensor) -> Tensor:
        """Of each row, with pixels between -1 and 1."""
        return ((drawn[:, 0] - target).square() * weight).sum((1, 2))

    def objective() -> Tensor:
        """Of each row; the search makes it less."""
        drawn = generator(z, *seen)
        found = errors(drawn) + length * z.square().mean(1)
        if discriminator is not None:
            found = found - _PRIOR * discriminator(drawn, *seen).reshape(-1)
        return found

    def step() -> None:
        adam.zero_grad()
        objective().sum().backward()
        adam.step()

    replayed = jit(step)
    with frozen(fixed):
        for _ in range(steps):
            replayed()
    z.requires_grad = False
    with no_grad():
        final = objective().numpy()
        error = errors(generator(z, *seen)).numpy()
    best = int(final.argmin())
    row = slice(best, best + 1)
    drawn = draw(generator, z[row], seen[0][row] if seen else None)[0]
    label = int(labels[best]) if run.config.conditional else None
    return Found(drawn, z.numpy()[best].copy(), label, float(error[best]) / 4)


def neighbours(
    run: Run, n: int, k: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """Images of a generator, and the training images that are nearest to each.

    Args:
        run: With a generator; its training images are read again.
        n: How many images, at least 1.
        k: How many neighbours of each, at least 1.
        seed: Of the noise.

    Returns:
        uint8 (n, 1 + k, height, width), each image and its neighbours, the nearest first; and their
        distances (n, k), Euclidean, with pixels from 0 to 1.

    Raises:
        RunError: A number is outside its range, or the generator cannot be loaded.
        DataError: The training images cannot be read.
    """
    training = load_images(run.config).pixels
    if training.shape[1:] != run.subject.shape:
        (height, width), (drawn_height, drawn_width) = training.shape[1:], run.subject.shape
        raise RunError(
            f"{run.folder}: draws images of {drawn_width}x{drawn_height} pixels, but what it says "
            f"it learned from ({run.config.data or 'MNIST'}) has {width}x{height}"
        )
    for name, value, most in (("n", n, MAX_IMAGES), ("k", k, len(training))):
        if not 1 <= value <= most:
            raise RunError(f"{name} is {value}; it must be an integer from 1 to {most}")
    drawn = generate(run, n, seed)
    of_drawn, of_training = (
        x.reshape(len(x), -1).astype(np.float32) / np.float32(255) for x in (drawn, training)
    )
    places, distances = nearest(of_drawn, of_training, k)
    return np.concatenate([drawn[:, None], training[places]], axis=1), distances
