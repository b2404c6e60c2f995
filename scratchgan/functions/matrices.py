"""Functions of matrices and of their diagonals, under PyTorch's names."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchgan import dtypes, ops
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import kernels_for
from scratchgan.functions.arithmetic import matmul
from scratchgan.functions.shapes import movedim, permute, reshape, transpose, unsqueeze
from scratchgan.functions.words import numpy_words
from scratchgan.ops import Dims

# --- Products ------------------------------------------------------------------------------


def _combined(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """``beta * input + alpha * product``; what is multiplied by 0 is not looked at."""
    if product.dtype.kind != "f":  # integers and booleans by numbers of their own kind
        kind = bool if product.dtype == dtypes.bool_ else int
        beta, alpha = kind(beta), kind(alpha)
    scaled = product if alpha == 1 else ops.mul(product, alpha)
    if beta == 0:
        return scaled
    return ops.add(input if beta == 1 else ops.mul(input, beta), scaled)


@method()
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``."""
    return _combined(input, matmul(mat1, mat2), beta, alpha)


@method()
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``."""
    return _combined(input, matmul(mat, vec), beta, alpha)


@method()
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)``."""
    return _combined(input, matmul(batch1, batch2), beta, alpha)


@method()
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2).sum(0)``."""
    product = ops.sum(matmul(batch1, batch2), dim=0, keepdim=False).to(input.dtype)
    return _combined(input, product, beta, alpha)


@method()
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _combined(input, outer(vec1, vec2), beta, alpha)


@method("outer", "ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector with each of another.

    Raises:
        ValueError: One is no vector.
    """
    if input.ndim != 1 or vec2.ndim != 1:
        raise ValueError(f"outer: takes two vectors, not shapes {input.shape} and {vec2.shape}")
    return ops.mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


@method()
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


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products of two vectors.

    Raises:
        ValueError: One is no vector, or their lengths differ.
    """
    if input.ndim != 1 or input.shape != other.shape:
        raise ValueError(f"vdot: takes two vectors, not shapes {input.shape} and {other.shape}")
    return matmul(input, other)


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


@method()
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times all of ``other``."""
    ndim = max(input.ndim, other.ndim)
    x, y = (reshape(z, *[1] * (ndim - z.ndim), *z.shape) for z in (input, other))
    wide = ops.mul(
        reshape(x, *[n for size in x.shape for n in (size, 1)]),
        reshape(y, *[n for size in y.shape for n in (1, size)]),
    )
    return reshape(wide, *[n * m for n, m in zip(x.shape, y.shape, strict=True)])


# --- Diagonals and triangles -----------------------------------------------------------------


def _offsets(x: Tensor, rows: int, columns: int) -> Tensor:
    """How far right of the diagonal each place of a matrix is, (rows, columns)."""
    kernels = kernels_for[type(x.array)]
    lines = []
    for count in (rows, columns):
        out = kernels.empty((count,), dtypes.int64, like=x.array)
        kernels.arange(out=out)
        lines.append(Tensor(out))
    return ops.sub(unsqueeze(lines[1], 0), unsqueeze(lines[0], 1))


def _triangle(name: str, input: Tensor, diagonal: int, is_upper: bool) -> Tensor:
    if input.ndim < 2:
        raise ValueError(f"{name}: of matrices, not of shape {input.shape}")
    offsets = _offsets(input, *input.shape[-2:])
    kept = ops.ge(offsets, diagonal) if is_upper else ops.le(offsets, diagonal)
    nothing = False if input.dtype == dtypes.bool_ else 0
    return ops.where(kept, input, nothing)


@method()
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Zeros below a diagonal of each matrix.

    Raises:
        ValueError: There are no two dimensions.
    """
    return _triangle("triu", input, diagonal, True)


@method()
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Zeros above a diagonal of each matrix; errors as :func:`triu`."""
    return _triangle("tril", input, diagonal, False)


@method()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of a diagonal of each matrix, as the last dimension.

    Raises:
        IndexError: There is no such dimension.
        ValueError: Both dimensions are the same.
    """
    first, second = (ops.dim_of("diagonal", dim, input.ndim) for dim in (dim1, dim2))
    if first == second:
        raise ValueError(f"diagonal: dims {dim1} and {dim2} are the same")
    rows, columns = input.shape[first], input.shape[second]
    count = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    matrices = movedim(input, (first, second), (0, 1))
    kernels = kernels_for[type(input.array)]
    out = kernels.empty((count,), dtypes.int64, like=input.array)
    kernels.arange(out=out)
    down, right = ops.add(Tensor(out), max(-offset, 0)), ops.add(Tensor(out), max(offset, 0))
    return movedim(ops.gather(matrices, down, right, template=("array", "array")), 0, -1)


@method()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros, but for a diagonal that the last dimension gives.

    Raises:
        IndexError: There is no such dimension.
        ValueError: Both dimensions are the same.
    """
    ndim = input.ndim + 1
    first, second = (ops.dim_of("diag_embed", dim, ndim) for dim in (dim1, dim2))
    if first == second:
        raise ValueError(f"diag_embed: dims {dim1} and {dim2} are the same")
    size = input.shape[-1] + abs(offset)
    kernels = kernels_for[type(input.array)]
    out = kernels.empty((input.shape[-1],), dtypes.int64, like=input.array)
    kernels.arange(out=out)
    down, right = ops.add(Tensor(out), max(-offset, 0)), ops.add(Tensor(out), max(offset, 0))
    spread = ops.scatter_add(
        movedim(input, -1, 0),
        *(down, right),
        shape=(size, size, *input.shape[:-1]),
        template=("array", "array"),
    )
    return movedim(spread, (0, 1), (first, second))


@method()
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix; or of a vector the matrix with that diagonal.

    Raises:
        ValueError: It has other than one or two dimensions.
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ValueError(f"diag: of a vector or a matrix, not of shape {input.shape}")
    return _diagonal(input, diagonal)


_diagonal = diagonal


@method()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


@method()
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    Raises:
        ValueError: It is no matrix.
    """
    if input.ndim != 2:
        raise ValueError(f"trace: of a matrix, not of shape {input.shape}")
    return ops.sum(diagonal(input), dim=None, keepdim=False)


# --- Lengths ---------------------------------------------------------------------------------


@method()
@numpy_words
def norm(
    input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The length of vectors, ``(Σ |x|**p) ** (1/p)``, over all elements or over ``dim``.

    Where a length is 0 its derivative is taken as 0.

    Args:
        input: Floating point elements.
        p: A number, ``inf``, ``-inf``, or ``"fro"``, which is 2.
        dim: The dimensions of a vector; all, if None.
        keepdim: Whether they stay, of size 1.
        dtype: Of the result.

    Raises:
        TypeError: The elements are not floating point.
        ValueError: There is no such ``p``.
    """
    if input.dtype.kind != "f" and dtype is None:
        raise TypeError(f"norm: takes floating point elements, not {input.dtype}")
    x = input if dtype is None else input.to(dtype)
    power = 2.0 if p in ("fro", None) else p
    if not isinstance(power, int | float):
        raise ValueError(f"norm: p is {p!r}; it must be a number or 'fro'")
    size = ops.abs(x)
    if power == math.inf:
        return ops.amax(size, dim=dim, keepdim=keepdim)
    if power == -math.inf:
        return ops.amin(size, dim=dim, keepdim=keepdim)
    if power == 0:
        return ops.sum(ops.square(ops.sign(x)), dim=dim, keepdim=keepdim)
    if power == 1:
        return ops.sum(size, dim=dim, keepdim=keepdim)
    if power == 2:
        total = ops.sum(ops.square(x), dim=dim, keepdim=keepdim)
    else:
        total = ops.sum(_powers(size, power), dim=dim, keepdim=keepdim)
    is_zero = ops.eq(total, 0)
    safe = ops.where(is_zero, 1.0, total)
    root = ops.sqrt(safe) if power == 2 else ops.pow(safe, 1.0 / power)
    return ops.where(is_zero, 0.0 if power > 0 else root, root)


def _powers(size: Tensor, power: float) -> Tensor:
    """``size ** power`` with the derivative 0 where ``size`` is 0."""
    is_zero = ops.eq(size, 0)
    raised = ops.pow(ops.where(is_zero, 1.0, size), power)
    return ops.where(is_zero, 0.0 if power > 0 else math.inf, raised)


@method()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The length of ``input - other``; ``p`` as in :func:`norm`."""
    return norm(ops.sub(input, other), p)


# --- Grids ---------------------------------------------------------------------------------


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid, from those along each of its dimensions.

    Args:
        tensors: Vectors, or one list of them.
        indexing: ``"ij"``, or ``"xy"``, where the first two dimensions change places.

    Raises:
        ValueError: There is no such indexing, or one is no vector.
    """
    if len(tensors) == 1 and isinstance(tensors[0], Sequence):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}; choose ij or xy")
    if any(x.ndim > 1 for x in tensors):
        raise ValueError("meshgrid: takes vectors")
    vectors = [reshape(x, -1) for x in tensors]
    turned = indexing == "xy" and len(vectors) > 1
    if turned:
        vectors[0], vectors[1] = vectors[1], vectors[0]
    shape = tuple(operator.index(x.numel()) for x in vectors)
    grids = [
        reshape(x, [-1 if k == i else 1 for k in range(len(vectors))]).broadcast_to(shape)
        for i, x in enumerate(vectors)
    ]
    if turned:
        grids = [transpose(x, 0, 1) for x in grids]
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All tensors in the shape that they broadcast to.

    Raises:
        ValueError: They do not broadcast together.
    """
    shapes = [x.shape for x in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        given = " and ".join(map(str, shapes))
        raise ValueError(f"broadcast_tensors: the shapes {given} do not broadcast") from None
    return tuple(x.broadcast_to(shape) for x in tensors)
