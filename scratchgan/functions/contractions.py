"""Sums of products over dimensions of two or more tensors, under PyTorch's names."""

import math
from typing import Any

from scratchgan import ops
from scratchgan.autograd.arguments import checked, tensors_of
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.functions.matrices import diagonal, matmul
from scratchgan.functions.shapes import permute, reshape

# --- Of two tensors ----------------------------------------------------------------------


@method()
@checked
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products along the last dimensions.

    Raises:
        ValueError: Those have different lengths.
    """
    if not input.ndim or not other.ndim:
        return ops.mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise ValueError(f"inner: the shapes {input.shape} and {other.shape} end differently")
    return tensordot(input, other, ([-1], [-1]))


@checked
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sums of products over some dimensions of both.

    Args:
        a: Of any shape.
        b: Of any shape.
        dims: How many of the last of ``a`` and of the first of ``b``; or a list for each.

    Raises:
        ValueError: The sizes of those dimensions differ.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: {dims} dims of the shapes {a.shape} and {b.shape}")
        dims = (list(range(a.ndim - dims, a.ndim)), list(range(dims)))
    of_a, of_b = (
        [ops.dim_of("tensordot", dim, x.ndim) for dim in chosen]
        for x, chosen in zip((a, b), dims, strict=True)
    )
    # A dimension of size 1 fits any: the other is summed.
    a, b = (
        _summed_where_one(x, own, y, others)
        for x, own, y, others in ((a, of_a, b, of_b), (b, of_b, a, of_a))
    )
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        raise ValueError(f"tensordot: the shapes {a.shape} and {b.shape} do not fit along {dims}")
    left, right = (
        [i for i in range(x.ndim) if i not in used] for x, used in ((a, of_a), (b, of_b))
    )
    count = math.prod(a.shape[i] for i in of_a)
    rows, columns = (tuple(x.shape[i] for i in kept) for x, kept in ((a, left), (b, right)))
    first = reshape(permute(a, *left, *of_a), math.prod(rows), count)
    second = reshape(permute(b, *of_b, *right), count, math.prod(columns))
    return reshape(matmul(first, second), (*rows, *columns))


def _summed_where_one(x: Tensor, own: list[int], y: Tensor, others: list[int]) -> Tensor:
    gone = tuple([i for i, j in zip(own, others, strict=True) if y.shape[j] == 1 != x.shape[i]])
    return ops.sum(x, dim=gone, keepdim=True).to(x.dtype) if gone else x


# --- By an equation ----------------------------------------------------------------------


def einsum(equation: str, *operands: Any) -> Tensor:
    """The sums of products that an equation names, as ``"ij,jk->ik"``.

    Args:
        equation: A letter for each dimension, operands divided by commas; ``...`` for several; what
            the part after the arrow lacks is summed. Without an arrow, letters that stand once, in
            alphabetical order.
        operands: Tensors, or one list of them.

    Raises:
        ValueError: The equation does not fit the operands.
    """
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    if not isinstance(equation, str):
        raise TypeError(f"einsum: the equation is text, as 'ij,jk->ik', not {equation!r:.80}")
    operands = tuple(tensors_of("einsum", operands))
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {equation!r} is for {len(terms)} tensors, not {len(operands)}")
    dots = max(
        (x.ndim - len(term.replace("...", "")) for term, x in zip(terms, operands, strict=True)),
        default=0,
    )
    free = [f"_{i}" for i in range(max(dots, 0))]  # the names of the dimensions of an ellipsis
    named = [_names(equation, term, x, free) for term, x in zip(terms, operands, strict=True)]
    used = [name for names in named for name in names]
    if arrow:
        kept = _letters(output, free)
    else:
        once = sorted({n for n in used if used.count(n) == 1 and not n.startswith("_")})
        kept = [*(free if any("..." in term for term in terms) else []), *once]
    for name in kept:
        if name not in used or kept.count(name) > 1:
            raise ValueError(f"einsum: {equation!r} gives {name!r}, which is in no tensor or twice")
    result, names = _once(operands[0], named[0])
    for x, of in zip(operands[1:], named[1:], strict=True):
        rest = [*kept, *[n for later in named[named.index(of) + 1 :] for n in later]]
        result, names = _contracted(equation, (result, names), _once(x, of), rest)
    gone = tuple(i for i, name in enumerate(names) if name not in kept)
    if gone:
        result = ops.sum(result, dim=gone, keepdim=False)
        names = [name for name in names if name in kept]
    return permute(result, [names.index(name) for name in kept])


def _letters(term: str, free: list[str]) -> list[str]:
    before, dots, after = term.partition("...")
    return [*before, *(free if dots else []), *after]


def _names(equation: str, term: str, x: Tensor, free: list[str]) -> list[str]:
    before, dots, after = term.partition("...")
    extra = x.ndim - len(before) - len(after)
    if extra < 0 or (extra and not dots):
        raise ValueError(f"einsum: {equation!r} does not fit a tensor of shape {x.shape}")
    return [*before, *(free[len(free) - extra :] if dots and extra else []), *after]


def _once(x: Tensor, names: list[str]) -> tuple[Tensor, list[str]]:
    """With each name once: of one that stands twice, the diagonal."""
    names = list(names)
    while len(set(names)) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        first = names.index(name)
        second = names.index(name, first + 1)
        if x.shape[first] != x.shape[second]:
            raise ValueError(
                f"einsum: {name!r} stands twice for a tensor of shape {x.shape}, whose sizes there "
                f"are {x.shape[first]} and {x.shape[second]}"
            )
        x = diagonal(x, 0, first, second)
        names = [n for i, n in enumerate(names) if i not in (first, second)] + [name]
    return x, names


def _contracted(
    equation: str,
    one: tuple[Tensor, list[str]],
    other: tuple[Tensor, list[str]],
    rest: list[str],
) -> tuple[Tensor, list[str]]:
    """Two tensors as one product of matrices, summed over what nobody needs later."""
    (x, xs), (y, ys) = one, other
    shared = [n for n in xs if n in ys]
    summed = [n for n in shared if n not in rest]
    batch = [n for n in shared if n in rest]
    left, right = [n for n in xs if n not in ys], [n for n in ys if n not in xs]
    sizes: dict[str, int] = {}
    for names, z in ((xs, x), (ys, y)):
        for name, n in zip(names, z.shape, strict=True):
            if sizes.setdefault(name, n) != n and 1 not in (n, sizes[name]):
                raise ValueError(f"einsum: {equation!r}: the sizes of {name!r} differ")
            sizes[name] = max(sizes[name], n)

    def laid(z: Tensor, names: list[str], order: list[str]) -> Tensor:
        z = permute(z, [names.index(n) for n in order])
        return z.broadcast_to([sizes[n] for n in order])

    def count(names: list[str]) -> int:
        return math.prod(sizes[n] for n in names)

    a = laid(x, xs, [*batch, *left, *summed])
    b = laid(y, ys, [*batch, *summed, *right])
    product = matmul(
        reshape(a, count(batch), count(left), count(summed)),
        reshape(b, count(batch), count(summed), count(right)),
    )
    names = [*batch, *left, *right]
    return reshape(product, [sizes[n] for n in names]), names
