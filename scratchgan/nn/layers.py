"""Layers: modules that compute one function of a tensor, under PyTorch's names and defaults.

Where a layer has ``device`` and ``dtype``, its parameters lie there and are of this type.
"""

import math
from collections.abc import Sequence
from typing import Self

from numpy.typing import DTypeLike

from scratchgan import creation, functions
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import functional, init
from scratchgan.nn.activations import Activation  # noqa: F401, its first home
from scratchgan.nn.functional.layers import check_probability, refuse_options, row_of
from scratchgan.nn.module import Module
from scratchgan.nn.parameter import Parameter

# --- With weights ---------------------------------------------------------------------


class Linear(Module):
    """``x @ weight.T + bias``.

    Weight and bias start from the uniform distribution on ±1/√in_features.

    Args:
        in_features: Size of the last axis of the input.
        out_features: Size of the last axis of the output.
        bias: Whether to add a bias.
        device: See above.
        dtype: See above.

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,), or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(
            creation.empty(out_features, in_features, dtype=dtype, device=device)
        )
        self.bias: Parameter | None = None
        if bias:
            self.bias = Parameter(creation.empty(out_features, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new first values, in place."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # this slope makes it ±1/√in_features
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, activation: str = "none", **keywords: float) -> Tensor:
        """(..., in_features) to (..., out_features), with ``activation`` in the same pass."""
        return functional.linear(input, self.weight, self.bias, activation, **keywords)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """``out[k] = x1 @ weight[k] @ x2 + bias[k]``.

    Weight and bias start from the uniform distribution on ±1/√in1_features.

    Args:
        in1_features: Size of the last axis of the first input.
        in2_features: Size of the last axis of the second input.
        out_features: Size of the last axis of the output.
        bias: Whether to add a bias.
        device: See above.
        dtype: See above.

    Attributes:
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,), or None.

    Raises:
        ValueError: ``in1_features`` is less than 1.
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if in1_features < 1:
            raise ValueError(f"Bilinear: in1_features is {in1_features}; it must be 1 or more")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        sizes = (out_features, in1_features, in2_features)
        self.weight = Parameter(creation.empty(*sizes, dtype=dtype, device=device))
        self.bias: Parameter | None = None
        if bias:
            self.bias = Parameter(creation.empty(out_features, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new first values, in place."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """(..., in1_features) and (..., in2_features) to (..., out_features)."""
        return functional.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Embedding(Module):
    """A table of learned vectors, looked up by integers.

    The vectors start from the standard normal distribution.

    Args:
        num_embeddings: Rows of the table.
        embedding_dim: Length of each vector.
        padding_idx: A row that starts as zeros and is not learned.
        max_norm: Not supported.
        norm_type: Of ``max_norm``.
        scale_grad_by_freq: Not supported.
        sparse: Not supported.
        _weight: The table, instead of a drawn one.
        _freeze: Whether the table is not learned.
        device: See above.
        dtype: See above.

    Attributes:
        weight: The table, (num_embeddings, embedding_dim).

    Raises:
        ValueError: ``padding_idx`` is no row, or ``_weight`` has another shape.
        NotImplementedError: An option is not supported.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        refuse_options(max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else row_of(padding_idx, num_embeddings)
        if _weight is not None:
            if _weight.shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"Embedding: a table of shape {_weight.shape} is not of "
                    f"{num_embeddings} rows of length {embedding_dim}"
                )
            self.weight = Parameter(_weight, not _freeze)
            return
        table = creation.empty(num_embeddings, embedding_dim, dtype=dtype, device=device)
        self.weight = Parameter(table, not _freeze)
        self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A module on a table (rows, length) that is there, and with ``freeze`` is not learned."""
        if embeddings.ndim != 2:
            raise ValueError(
                f"Embedding: a table has two dimensions, not the shape {embeddings.shape}"
            )
        refuse_options(max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
        rows, length = embeddings.shape
        return cls(rows, length, padding_idx, _weight=embeddings, _freeze=freeze)

    def reset_parameters(self) -> None:
        """Draw new first values, in place."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Tensor) -> Tensor:
        """Integers of any shape (...) to their vectors, (..., embedding_dim)."""
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


# --- Without weights ------------------------------------------------------------------


class Identity(Module):
    """The input unchanged; a placeholder, which takes any arguments."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """``input`` itself."""
        return input


class Flatten(Module):
    """The dimensions from ``start_dim`` to ``end_dim`` as one; by default all but the first."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape that has these dimensions."""
        return functions.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The dimension ``dim`` as several, of ``unflattened_size``; one may be -1, for "the rest"."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten: dim is an integer, not {dim!r}: dimensions have no names")
        self.dim = dim
        self.unflattened_size = functions.sizes_of("Unflatten", (unflattened_size,))

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape that has this dimension."""
        return functions.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The dimension and its parts."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Dropout(Module):
    """In training, zeros in random places and the rest scaled up; see :func:`functional.dropout`.

    Args:
        p: Probability of an element to become zero.
        inplace: Whether the input itself is changed.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        check_probability(p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape; after :meth:`eval`, ``input`` itself."""
        return functional.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"
