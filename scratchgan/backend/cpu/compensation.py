"""Addition in float64 whose error does not grow with how many numbers there are.

Some numbers are added as they come, a block; the sums of blocks are added with what that loses.
"""

from typing import Any

from scratchgan.backend.cpu.codegen.numba_target import njit

#: Numbers in a block: so few that their sum's error is small, so many that the rest takes no time.
BLOCK = 128


@njit(fastmath={"reassoc"})
def accumulate(total: Any, x: Any) -> Any:
    """``total + x``, in any order: so that several elements are added at once."""
    return total + x


@njit
def lost(total: Any, x: Any) -> Any:
    """The rounding error of ``total + x`` (Knuth 1997, section 4.2.2, theorem B)."""
    new = total + x
    part = new - total
    return (total - (new - part)) + (x - part)


@njit
def completed(total: Any, missing: Any) -> Any:
    """``total`` with what was lost; of an infinite sum nothing is."""
    return total + missing if missing == missing else total
