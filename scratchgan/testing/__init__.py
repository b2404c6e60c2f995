"""Proving gradients: gradcheck, a complex-step reference, and checks of whole primitives.

:func:`gradcheck` and :func:`gradgradcheck` are PyTorch's. :func:`check_primitive` runs on one
primitive, a user's own or this project's, everything that the suite holds primitives to.
:mod:`scratchgan.testing.strategies` has Hypothesis strategies for arrays, tensors, primitives
with inputs and whole graphs; only it imports Hypothesis (extra ``dev``).
"""

from scratchgan.testing.check import PrimitiveError, check_primitive
from scratchgan.testing.choices import Sample
from scratchgan.testing.comparison import GradcheckError
from scratchgan.testing.complex_step import complex_step
from scratchgan.testing.gradcheck import KinkError, complex_step_check, gradcheck, gradgradcheck

__all__ = [
    "GradcheckError",
    "KinkError",
    "PrimitiveError",
    "Sample",
    "check_primitive",
    "complex_step",
    "complex_step_check",
    "gradcheck",
    "gradgradcheck",
]
