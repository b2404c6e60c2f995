"""The floor is what it says: the matrix products of a step, no more and no fewer."""

import itertools
from types import SimpleNamespace

import numpy as np

from benchmarks import problem
from benchmarks.workers.step_products import products


def test_the_products_are_those_of_a_step():
    shapes = []

    def dot(a, b, out):
        shapes.append((len(a), a.shape[1], b.shape[1]))
        np.dot(a, b, out=out)

    arrays = SimpleNamespace(
        asarray=np.asarray, empty=np.empty, empty_like=np.empty_like, float32=np.float32, dot=dot
    )
    products(4, arrays)()

    assert len(shapes) == 25
    g_sizes, d_sizes = problem.sizes()
    g, d = (sum(a * b for a, b in itertools.pairwise(sizes)) for sizes in (g_sizes, d_sizes))
    # A pass over a layer of a x b weights is a x b products a row; no pass goes to the images of
    # D's move, nor to the noise.
    d_move = 4 * g + 8 * d + 8 * d + 8 * (d - d_sizes[0] * d_sizes[1])
    g_move = 4 * g + 4 * d + 4 * d + 4 * g + 4 * (g - g_sizes[0] * g_sizes[1])
    assert sum(a * b * c for a, b, c in shapes) == d_move + g_move
