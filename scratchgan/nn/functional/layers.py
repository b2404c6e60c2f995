"""Layers with weights, embeddings and dropout as functions."""

import math

from scratchgan import dtypes, functions, ops, random
from scratchgan.autograd.arguments import require_tensors
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.nn.functional.common import changed_in_place, extremes, may_read, require_floats
from scratchgan.ops.activations import by_name, scalars_of

# --- With weights ---------------------------------------------------------------------


def linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "none",
    **keywords: float,
) -> Tensor:
    """``activation(input @ weight.T + bias)``.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features); or (in_features,), which gives (...).
        bias: (out_features,), or None.
        activation: ``"none"``, or a row of :data:`scratchgan.ops.activations.ACTIVATIONS`; with a
            bias it is computed in one pass with the rest.
        keywords: The activation's, ``negative_slope`` of ``"leaky_relu"`` say.

    Returns:
        (..., out_features).

    Raises:
        ValueError: The shapes do not fit together, or there is no such activation.
    """
    if not (isinstance(input, Tensor) and isinstance(weight, Tensor)):
        require_tensors("linear", input=input, weight=weight)
    scalars = scalars_of(activation, keywords)
    if input.array.ndim == 2 and bias is not None and weight.array.ndim == 2:
        return ops.linear(input, weight, bias, activation=activation, scalars=scalars)
    if bias is None or weight.ndim == 1:
        product = functions.matmul(input, weight.T)
        if bias is not None:
            product = ops.add(product, bias)
        if activation == "none":
            return product
        return REGISTRY[activation](product, **by_name(activation, scalars))
    if input.ndim == 0:
        raise ValueError("linear: the input is a single number; expected (..., in_features)")
    rows = functions.reshape(input, math.prod(input.shape[:-1]), input.shape[-1])
    out = ops.linear(rows, weight, bias, activation=activation, scalars=scalars)
    return functions.reshape(out, *input.shape[:-1], weight.shape[0])


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``out[k] = input1 @ weight[k] @ input2 + bias[k]``.

    Args:
        input1: (..., in1_features).
        input2: (..., in2_features), with the same dimensions before the last.
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,), or None.

    Returns:
        (..., out_features).

    Raises:
        ValueError: The shapes do not fit together.
    """
    require_tensors("bilinear", input1=input1, input2=input2, weight=weight)
    fits = (
        weight.ndim == 3
        and input1.ndim > 0
        and input1.shape[:-1] == input2.shape[:-1]
        and (input1.shape[-1:], input2.shape[-1:]) == (weight.shape[1:2], weight.shape[2:])
        and (bias is None or bias.shape == weight.shape[:1])
    )
    if not fits:
        raise ValueError(
            f"bilinear: inputs of shapes {input1.shape} and {input2.shape} do not fit a weight of "
            f"shape {weight.shape} and a bias of shape {None if bias is None else bias.shape}; "
            "expected (..., in1), (..., in2), (out, in1, in2) and (out,)"
        )
    out, first, second = weight.shape
    leading = input1.shape[:-1]
    rows = math.prod(leading)
    table = functions.reshape(functions.permute(weight, 1, 0, 2), first, out * second)
    half = functions.reshape(
        functions.matmul(functions.reshape(input1, rows, first), table), rows, out, second
    )
    product = ops.sum(ops.mul(half, functions.reshape(input2, rows, 1, second)), dim=2)
    product = functions.reshape(product, *leading, out).to(input1.dtype)
    return product if bias is None else ops.add(product, bias)


# --- Rows of a table --------------------------------------------------------------------


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of ``weight`` that the integers of ``input`` name.

    Args:
        input: Integers from 0 on, of any shape (...).
        weight: (rows, length).
        padding_idx: A row that gets no gradient; a negative one counts from the end.
        max_norm: Not supported.
        norm_type: Of ``max_norm``.
        scale_grad_by_freq: Not supported.
        sparse: Not supported.

    Returns:
        (..., length).

    Raises:
        IndexError: An index is negative or beyond the last row, or no integer.
        ValueError: ``weight`` is no matrix, or ``padding_idx`` none of its rows.
        NotImplementedError: An option is not supported.
    """
    require_tensors("embedding", input=input, weight=weight)
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight is (rows, length), not of shape {weight.shape}")
    refuse_options(max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
    if input.dtype.kind not in "iu":
        raise IndexError(f"embedding: indices are integers, not {input.dtype}")
    places = functions.without_negatives("embedding", input, weight.shape[0])
    try:
        rows = ops.gather(weight, places, template=("array",))
    except IndexError as error:
        raise IndexError(
            f"embedding: {error.__cause__}; a row is named from 0 on, and not from the end"
        ) from error
    if padding_idx is None:
        return rows
    padding = row_of(padding_idx, weight.shape[0])
    is_padding = functions.unsqueeze(ops.eq(input, padding), -1)
    return ops.where(is_padding, rows.detach(), rows)


def row_of(padding_idx: int, rows: int) -> int:
    """``padding_idx`` from 0 on; a ValueError if there is no such row."""
    if not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx is {padding_idx}; there are {rows} rows")
    return padding_idx % rows


def refuse_options(**options: object) -> None:
    """Raise a NotImplementedError if one of embedding's options is used that is not there."""
    for word, value in options.items():
        if value is not None and value is not False:
            raise NotImplementedError(f"embedding: {word}={value!r} is not supported; leave it out")


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Rows of zeros with a one where the class is, int64 (..., num_classes).

    Args:
        tensor: Classes, integers from 0 on, of any shape (...).
        num_classes: Length of a row; -1 for one more than the largest class.

    Raises:
        TypeError: The classes are no integers.
        ValueError: A class is negative or too large, or there are no classes to count.
    """
    require_tensors("one_hot", tensor=tensor)
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot: classes are integers, not {tensor.dtype}")
    if num_classes == -1:
        if not tensor.numel():
            raise ValueError("one_hot: there are no classes to count; give num_classes")
        num_classes = int(tensor.max()) + 1
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes is {num_classes}; it must be 1 or more")
    if may_read() and tensor.numel():
        least, most = extremes(tensor)
        if least < 0 or most >= num_classes:
            raise ValueError(
                f"one_hot: the classes reach from {least:.0f} to {most:.0f}; they must be from 0 "
                f"to {num_classes - 1}"
            )
    kernels = kernels_for[type(tensor.array)]
    classes = kernels.empty((num_classes,), dtypes.int64, like=tensor.array)
    kernels.arange(out=classes)
    return ops.eq(functions.unsqueeze(tensor, -1), Tensor(classes)).to(dtypes.int64)


# --- Dropout ----------------------------------------------------------------------------


def check_probability(p: float) -> None:
    """Raise a ValueError if ``p`` is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; it must be a probability, from 0 to 1")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros in random places, each with probability ``p``; the rest times ``1 / (1 - p)``.

    So the expected value stays the same (Srivastava et al. 2014, "Dropout", section 10). The
    places are drawn from :data:`scratchgan.random.default_generator`.

    Args:
        input: Of any shape.
        p: From 0 to 1.
        training: If False, the result is ``input`` itself.
        inplace: Whether the tensor itself becomes that.

    Raises:
        ValueError: ``p`` is no probability.
        TypeError: The elements are not floating point.
    """
    check_probability(p)
    if not training or p == 0:
        return input
    require_floats("dropout", input=input)

    def compute(x: Tensor) -> Tensor:
        if p == 1:
            return ops.mul(x, 0.0)
        kernels = kernels_for[type(x.array)]
        draws = kernels.empty(x.shape, x.dtype, like=x.array)
        kernels.uniform(random.default_generator.state, out=draws)
        return ops.where(ops.ge(Tensor(draws), p), ops.mul(x, 1 / (1 - p)), 0.0)

    return changed_in_place("dropout", input, compute) if inplace else compute(input)
