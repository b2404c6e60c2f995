"""Modules made of parameters: ParameterList and ParameterDict."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Self

from scratchgan.autograd.tensor import Tensor
from scratchgan.nn.module import Module
from scratchgan.nn.parameter import Parameter


class _ParameterContainer(Module):
    def _as_parameter(self, value: Any) -> Parameter:
        if isinstance(value, Parameter):
            return value
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{type(self).__name__}: holds parameters, and {value!r:.80} is a "
                f"{type(value).__name__}; make one with nn.Parameter"
            )
        return Parameter(value)

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        yield from super()._own_parameters()
        yield from self._held()

    def _held(self) -> Iterable[tuple[str, Parameter]]:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """A line for each parameter."""
        kind = "Parameter containing: "
        return "\n".join(
            f"({name}): {kind}[{x.dtype} of size {'x'.join(map(str, x.shape))}]"
            for name, x in self._held()
        )


class ParameterList(_ParameterContainer):
    """A list of parameters that are found by the modules above.

    Args:
        values: What it holds at first; tensors become parameters.
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self._list: list[Parameter] = []
        self.extend(values or ())

    def _held(self) -> Iterable[tuple[str, Parameter]]:
        return ((str(position), value) for position, value in enumerate(self._list))

    def __len__(self) -> int:
        return len(self._list)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._list)

    def __getitem__(self, index: int | slice) -> Any:
        return ParameterList(self._list[index]) if isinstance(index, slice) else self._list[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self._list[index] = self._as_parameter(value)

    def append(self, value: Any) -> Self:
        """Add a parameter at the end; returns the list, as PyTorch's does."""
        self._list.append(self._as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end; returns the list, as PyTorch's does."""
        self._list += [self._as_parameter(value) for value in values]
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)


class ParameterDict(_ParameterContainer):
    """Parameters by names of one's own, which are found by the modules above.

    Args:
        parameters: A dict, or pairs of name and parameter; tensors become parameters.
    """

    def __init__(
        self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None
    ) -> None:
        self._dict: dict[str, Parameter] = {}
        self.update(parameters or {})

    def _held(self) -> Iterable[tuple[str, Parameter]]:
        return self._dict.items()

    def __len__(self) -> int:
        return len(self._dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __contains__(self, key: object) -> bool:
        return key in self._dict

    def __getitem__(self, key: str) -> Parameter:
        return self._dict[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._require_new("ParameterDict", key)
        self._dict[key] = self._as_parameter(value)

    def __delitem__(self, key: str) -> None:
        del self._dict[key]

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._dict.keys()

    def values(self) -> Iterable[Parameter]:
        """The parameters."""
        return self._dict.values()

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Pairs of name and parameter."""
        return self._dict.items()

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add parameters by their names, in the place of those that have the same.

        As in PyTorch, those of a plain dict come in alphabetical order.
        """
        pairs = list(dict(parameters).items())
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            pairs.sort(key=itemgetter(0))
        for name, value in pairs:
            self[name] = value

    def pop(self, key: str) -> Parameter:
        """Take a parameter out, and give it."""
        return self._dict.pop(key)
