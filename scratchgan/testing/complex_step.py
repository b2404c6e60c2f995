"""The complex-step derivative: a second reference, independent of differences, and far sharper.

For a function that is analytic at ``x``, ``f(x + ih) = f(x) + ih f'(x) + O(h**2)``, so that
``f'(x) = Im f(x + ih) / h`` without a difference in it. Nothing cancels, ``h`` can be as small as
1e-20, and what remains is the rounding of ``f`` itself, near 1e-15 (Squire & Trapp 1998, "Using
complex variables to estimate derivatives of real functions", eq. 2.2; Martins, Sturdza & Alonso
2003, "The complex-step derivative approximation", section 2.1).

The kernels of the numpy backend compute on complex arrays. Comparisons among them go by the real
part, which continues ``sigmoid`` and its like, written with ``abs``, from the real axis as is due.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import use_backend

Array = np.ndarray[Any, Any]

#: So small that its square is nothing beside any number that is added to it.
STEP = 1e-20


def complex_step(fn: Callable[..., Tensor], inputs: Any) -> tuple[Array, ...]:
    """Derivatives of ``fn`` by complex steps, on the numpy backend.

    Args:
        fn: A function of tensors that gives one tensor; analytic, and without a ``cast``.
        inputs: What it is called with, on the CPU; those that require a gradient are varied.

    Returns:
        For each input that requires a gradient, a float64 array of shape
        ``(*output.shape, *input.shape)``.
    """
    inputs = inputs if isinstance(inputs, tuple | list) else (inputs,)
    derivatives = []
    with use_backend("numpy"), no_grad():
        for position, x in enumerate(inputs):
            if not (isinstance(x, Tensor) and x.requires_grad):
                continue
            jacobian = np.zeros((*fn(*inputs).shape, x.numel()))
            for element in range(x.numel()):
                moved = np.array(x.array, np.complex128)
                moved.flat[element] += 1j * STEP
                y = fn(*inputs[:position], Tensor(moved), *inputs[position + 1 :])
                jacobian[..., element] = y.array.imag / STEP
            derivatives.append(jacobian.reshape((*jacobian.shape[:-1], *x.shape)))
    return tuple(derivatives)
