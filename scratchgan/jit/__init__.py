"""jit: run a step once and write down its kernel calls; plan them; run the plan from then on.

:mod:`record` writes down, :mod:`plan` and :mod:`fuse` decide what to run and where results lie,
:mod:`lower` writes the fused functions, and :mod:`executor` runs them. A
replay gives what the function itself would have given: values returned, gradients left in ``grad``,
parameters, optimizer state, running statistics and streams of noise all move on as they do without
jit.
"""

from scratchgan.jit.context import JitError
from scratchgan.jit.function import Jitted, jit

__all__ = ["JitError", "Jitted", "jit"]
