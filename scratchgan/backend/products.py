"""Products of matrices by the compiled tasks of :mod:`scratchgan.backend.numba_products`."""

import threading
from typing import Any

import numpy as np

from scratchgan.backend import cache
from scratchgan.backend.team import Task, Tasks, team

Array = np.ndarray[Any, Any]

#: A product of fewer multiplications is done before another thread has heard of it.
WORTH_SHARING = 1 << 20


class Products(threading.local):
    """Products of matrices of one type. Each thread fills in arguments of its own."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        module = cache.load_for("numba_products", dtype)
        matrix = np.empty((1, 1), dtype)[::2, ::2]  # of any strides
        self._function = module.product.address
        self._arguments = np.empty(module.ARGUMENTS, np.intp)
        self._bind = cache.entry_point(module.bind, (self._arguments, matrix, matrix, matrix))
        self._tasks = Tasks([self._task(self._arguments)])

    def multiply(self, a: Array, b: Array, out: Array) -> bool:
        """``out = a @ b`` for matrices of this type; False, and nothing done, if they don't fit."""
        multiplications = self._bind(self._arguments, a, b, out)
        if multiplications < 0:
            return False
        if multiplications < WORTH_SHARING:
            team().run_alone(self._tasks)
        else:
            team().run(self._tasks)
        return True

    def task(self, a: Array, b: Array, out: Array) -> Task | None:
        """What :meth:`multiply` does, as a task for later."""
        arguments = np.empty_like(self._arguments)
        if self._bind(arguments, a, b, out) < 0:
            return None
        return self._task(arguments, (a, b, out))

    def _task(self, arguments: Array, holds: Any = None) -> Task:
        return Task(self._function, arguments, np.empty(0), holds)
