"""The ``cupy`` backend with NumPy's kernels in the place of those that a GPU would run."""

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from scratchgan.backend import reference
from standin.arrays import ndarray, new

#: What the backend does without a kernel, or with CuPy's own.
_KEPT = (
    *("empty", "fill", "from_host", "constant", "to_host", "wait", "memory", "allocate", "part"),
    *("address", "is_contiguous", "reshape", "permute", "expand", "diagonal", "view"),
    *("nonzero", "scatter_add", "put", "argmax"),
)


def by_numpy(backend: ModuleType) -> Any:
    """A backend's module."""
    names = [name for name in vars(backend) if name in vars(reference) and name not in _KEPT]
    found = {name: _on_hosts(getattr(reference, name)) for name in names if name.islower()}
    module = SimpleNamespace(**{name: getattr(backend, name) for name in _KEPT}, **found)
    module.gather = _gather
    module.compile_elementwise = lambda definition: _on_hosts(
        getattr(reference, definition.name, None) or reference.compile_elementwise(definition)
    )
    return module


def _gather(x: ndarray, *indices: ndarray, template: Any, out: ndarray | None = None) -> ndarray:
    taken = x[reference.filled_in(template, indices)]
    if out is None:
        return taken
    out._host[...] = taken._host
    return out


def _on_hosts(kernel: Any) -> Any:
    def host(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(host, x))
        return x._host if isinstance(x, ndarray) else x

    def on_hosts(*inputs: Any, out: Any = None, **keywords: Any) -> Any:
        given = [x for x in inputs if isinstance(x, np.ndarray)]
        if given and kernel.__name__ not in ("uniform", "normal"):  # whose state is on the host
            raise TypeError(f"{kernel.__name__}: Unsupported type {type(given[0])}")
        if out is None:
            return new(kernel(*map(host, inputs), **keywords))
        kernel(*map(host, inputs), out=host(out), **keywords)
        return out

    return on_hosts
