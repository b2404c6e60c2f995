"""Products of matrices by the compiled tasks of :mod:`scratchgan.backend.numba_products`."""

from typing import Any

import numpy as np

from scratchgan.backend import cache
from scratchgan.backend.team import Prepared, Task, team

Array = np.ndarray[Any, Any]

#: A product of fewer multiplications is done before another thread has heard of it.
WORTH_SHARING = 1 << 20


class Products:
    """Products of matrices of one type."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        module = cache.load_for("numba_products", dtype)
        self._function = module.product.address
        self._prepared = Prepared([module.product], module.ARGUMENTS, 0)
        matrix = np.empty((1, 1), dtype)[::2, ::2]  # of any strides
        example = (self._prepared.arguments, matrix, matrix, matrix)
        self._bind = cache.entry_point(module.bind, example)

    def multiply(self, a: Array, b: Array, out: Array) -> bool:
        """``out = a @ b`` for matrices of this type; False, and nothing done, if they don't fit."""
        prepared = self._prepared
        multiplications = self._bind(prepared.arguments, a, b, out)
        if multiplications < 0:
            return False
        if multiplications < WORTH_SHARING:
            team().run_alone(prepared.tasks)
        else:
            team().run(prepared.tasks)
        return True

    def task(self, a: Array, b: Array, out: Array) -> Task | None:
        """What :meth:`multiply` does, as a task for later; None if the matrices don't fit."""
        arguments = np.empty_like(self._prepared.arguments)
        if self._bind(arguments, a, b, out) < 0:
            return None
        return Task(self._function, arguments, self._prepared.numbers, (a, b, out))
