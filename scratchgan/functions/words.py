"""NumPy's words in the place of PyTorch's, which PyTorch takes too."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from scratchgan.autograd.arguments import SYNONYMS, require_once

F = TypeVar("F", bound=Callable[..., Any])


def numpy_words(function: F) -> F:
    """Decorator: ``axis`` may be said for ``dim``, and ``keepdims`` for ``keepdim``."""

    @functools.wraps(function)
    def call(*inputs: Any, **keywords: Any) -> Any:
        if keywords:
            words = [SYNONYMS.get(name, name) for name in keywords]
            require_once(function.__name__, words)
            keywords = dict(zip(words, keywords.values(), strict=True))
        return function(*inputs, **keywords)

    return call  # type: ignore[return-value]
