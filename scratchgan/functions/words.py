"""NumPy's words in the place of PyTorch's, which PyTorch takes too."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from scratchgan.autograd.arguments import SYNONYMS

F = TypeVar("F", bound=Callable[..., Any])


def numpy_words(function: F) -> F:
    """Decorator: ``axis`` may be said for ``dim``, and ``keepdims`` for ``keepdim``."""

    @functools.wraps(function)
    def call(*inputs: Any, **keywords: Any) -> Any:
        if keywords:
            keywords = {SYNONYMS.get(name, name): value for name, value in keywords.items()}
        return function(*inputs, **keywords)

    return call  # type: ignore[return-value]
