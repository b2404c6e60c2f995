"""Products of matrices and vectors, diagonals and triangles, under PyTorch's names."""

import functools
import operator
from typing import Any

from scratchgan import dtypes, ops
from scratchgan.autograd.arguments import checked, lifted, tensors_of
from scratchgan.autograd.tensor import Tensor, method
from scratchgan.backend import kernels_for
from scratchgan.functions.beside import filled
from scratchgan.functions.broadcasting import broadcast_tensors
from scratchgan.functions.joining import cat, flip, roll
from scratchgan.functions.scans import cumprod
from scratchgan.functions.shapes import reshape, unsqueeze

# --- Products ----------------------------------------------------------------------------


@method("matmul", "__matmul__")
def matmul(input: Any, other: Any) -> Tensor:
    """Matrix product; a vector counts as a row on the left and as a column on the right.

    Raises:
        TypeError: One is no tensor.
        ValueError: The shapes do not fit together.
    """
    x, y = lifted("matmul", input), lifted("matmul", other)
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        number = type(y if isinstance(x, Tensor) else x).__name__
        raise TypeError(f"matmul: takes tensors, not {number}; for a number use *")
    if x.ndim > 1 and y.ndim > 1:
        return ops.matmul(x, y)
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"matmul: cannot multiply the shapes {x.shape} and {y.shape}")
    product = ops.matmul(
        unsqueeze(x, 0) if x.ndim == 1 else x, unsqueeze(y, 1) if y.ndim == 1 else y
    )
    batch = product.shape[:-2]
    rows = () if x.ndim == 1 else product.shape[-2:-1]
    columns = () if y.ndim == 1 else product.shape[-1:]
    return reshape(product, *batch, *rows, *columns)


method("__rmatmul__")(lambda x, y: matmul(y, x))


@method()
@checked
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices, as :func:`matmul`."""
    return _strictly("mm", input, mat2, 2, 2)


@method()
@checked
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Product of a matrix and a vector, as :func:`matmul`."""
    return _strictly("mv", input, vec, 2, 1)


@method()
@checked
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Product of two vectors, as :func:`matmul`."""
    return _strictly("dot", input, tensor, 1, 1)


@method()
@checked
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices, as :func:`matmul`."""
    return _strictly("bmm", input, mat2, 3, 3)


def _strictly(name: str, x: Tensor, y: Tensor, *ndims: int) -> Tensor:
    """``matmul(x, y)``, which have these numbers of dimensions."""
    if (x.ndim, y.ndim) != ndims:
        raise ValueError(
            f"{name}: the shapes {x.shape} and {y.shape}; expected {ndims[0]} and {ndims[1]} "
            "dimensions; matmul takes any"
        )
    return matmul(x, y)


@method()
@checked
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``."""
    return _combined(input, matmul(mat1, mat2), beta, alpha)


@method()
@checked
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``."""
    return _combined(input, matmul(mat, vec), beta, alpha)


@method()
@checked
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)``."""
    return _combined(input, matmul(batch1, batch2), beta, alpha)


@method()
@checked
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2).sum(0)``."""
    product = ops.sum(matmul(batch1, batch2), dim=0, keepdim=False).to(input.dtype)
    return _combined(input, product, beta, alpha)


@method()
@checked
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _combined(input, outer(vec1, vec2), beta, alpha)


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
@checked
def matrix_power(input: Tensor, n: int) -> Tensor:
    """Square matrices (..., m, m) multiplied ``n`` times.

    Raises:
        ValueError: They are not square, or ``n`` is negative: there are no inverses here.
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2] or n < 0:
        raise ValueError(
            f"matrix_power: of square matrices and for n from 0 on, not the shape {input.shape} "
            f"and {n}"
        )
    size = input.shape[-1]
    found = ops.where(ops.eq(_offsets(input, size, size), 0), 1.0, ops.mul(input, 0.0))
    square = input
    while n:  # by the binary digits of n
        if n & 1:
            found = ops.matmul(found, square)
        n >>= 1
        if n:
            square = ops.matmul(square, square)
    return found


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, from left to right.

    Raises:
        ValueError: There are none.
    """
    if not matrices:
        raise ValueError("chain_matmul: there are no matrices")
    return functools.reduce(matmul, tensors_of("chain_matmul", matrices))


@method()
@checked
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross products of vectors of 3 elements along ``dim``, by default the first of that size.

    Raises:
        IndexError: There is no such dimension.
        ValueError: It is not 3 long, or the shapes do not broadcast together.
    """
    x, y = (z for z in broadcast_tensors(input, other))
    if dim is None:
        dim = next((i for i, n in enumerate(x.shape) if n == 3), -1)
    dim = ops.dim_of("cross", dim, x.ndim)
    if not x.ndim or x.shape[dim] != 3:
        raise ValueError(f"cross: vectors of 3 elements, not dim {dim} of the shape {x.shape}")
    ahead = roll(x, -1, dim) * roll(y, -2, dim)
    return ahead - roll(x, -2, dim) * roll(y, -1, dim)


@checked
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of the elements of a vector, as rows (Vandermonde's matrix).

    Args:
        x: A vector.
        N: How many powers, from 0 on; as many as elements by default.
        increasing: Whether the power 0 comes first, and not last.

    Raises:
        ValueError: No vector, or ``N`` is negative.
    """
    count = x.numel() if N is None else N
    if x.ndim != 1 or count < 0:
        raise ValueError(f"vander: of a vector, not of shape {x.shape}; N is {N}")
    x = x if x.dtype.kind == "f" else x.to(dtypes.int64)
    first = filled(x, (x.numel(), min(count, 1)), 1)
    more = unsqueeze(x, 1).broadcast_to((x.numel(), max(count - 1, 0)))
    powers = cat([first, cumprod(more, 1)], 1)
    return powers if increasing else flip(powers, 1)


@method("outer", "ger")
@checked
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector with each of another.

    Raises:
        ValueError: One is no vector.
    """
    if input.ndim != 1 or vec2.ndim != 1:
        raise ValueError(f"outer: takes two vectors, not shapes {input.shape} and {vec2.shape}")
    return ops.mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


@method()
@checked
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products of two vectors.

    Raises:
        ValueError: One is no vector, or their lengths differ.
    """
    if input.ndim != 1 or input.shape != other.shape:
        raise ValueError(f"vdot: takes two vectors, not shapes {input.shape} and {other.shape}")
    return matmul(input, other)


@method()
@checked
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times all of ``other``."""
    ndim = max(input.ndim, other.ndim)
    x, y = (reshape(z, *[1] * (ndim - z.ndim), *z.shape) for z in (input, other))
    wide = ops.mul(
        reshape(x, *[n for size in x.shape for n in (size, 1)]),
        reshape(y, *[n for size in y.shape for n in (1, size)]),
    )
    return reshape(wide, *[n * m for n, m in zip(x.shape, y.shape, strict=True)])


# --- Diagonals ---------------------------------------------------------------------------


@method()
@checked
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A diagonal of each matrix, as the last dimension, in the same memory.

    Raises:
        IndexError: There is no such dimension.
        ValueError: Both dimensions are the same.
    """
    dims = two_dims("diagonal", dim1, dim2, input.ndim)
    return ops.diagonal(input, offset=operator.index(offset), dims=dims)


@method()
@checked
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros, but for a diagonal that the last dimension gives.

    Raises:
        IndexError: There is no such dimension.
        ValueError: Both dimensions are the same.
    """
    dims = two_dims("diag_embed", dim1, dim2, input.ndim + 1)
    size = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for dim in sorted(dims):
        shape.insert(dim, size)
    return ops.on_diagonal(input, shape=tuple(shape), offset=operator.index(offset), dims=dims)


def two_dims(name: str, dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    """Two dimensions of ``ndim``, counted from the first.

    Raises:
        IndexError: There is no such dimension.
        ValueError: Both are the same.
    """
    dims = ops.dim_of(name, dim1, ndim), ops.dim_of(name, dim2, ndim)
    if dims[0] == dims[1]:
        raise ValueError(f"{name}: dims {dim1} and {dim2} are the same")
    return dims


_diagonal = diagonal


@method()
@checked
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy of the diagonal of a matrix; or of a vector the matrix with that diagonal.

    Raises:
        ValueError: It has other than one or two dimensions.
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ValueError(f"diag: of a vector or a matrix, not of shape {input.shape}")
    return ops.clone(_diagonal(input, diagonal))


@method()
@checked
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


@method()
@checked
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    Raises:
        ValueError: It is no matrix.
    """
    if input.ndim != 2:
        raise ValueError(f"trace: of a matrix, not of shape {input.shape}")
    return ops.sum(diagonal(input), dim=None, keepdim=False)


# --- Triangles ---------------------------------------------------------------------------


@method()
@checked
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Zeros below a diagonal of each matrix.

    Raises:
        ValueError: There are no two dimensions.
    """
    return _triangle("triu", input, diagonal, True)


@method()
@checked
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Zeros above a diagonal of each matrix; errors as :func:`triu`."""
    return _triangle("tril", input, diagonal, False)


def _triangle(name: str, input: Tensor, diagonal: int, is_upper: bool) -> Tensor:
    if input.ndim < 2:
        raise ValueError(f"{name}: of matrices, not of shape {input.shape}")
    offsets = _offsets(input, *input.shape[-2:])
    kept = ops.ge(offsets, diagonal) if is_upper else ops.le(offsets, diagonal)
    nothing = False if input.dtype == dtypes.bool_ else 0
    return ops.where(kept, input, nothing)


def _offsets(x: Tensor, rows: int, columns: int) -> Tensor:
    """How far right of the diagonal each place of a matrix is, (rows, columns)."""
    kernels = kernels_for[type(x.array)]
    lines = []
    for count in (rows, columns):
        out = kernels.empty((count,), dtypes.int64, like=x.array)
        kernels.arange(out=out)
        lines.append(Tensor(out))
    return ops.sub(unsqueeze(lines[1], 0), unsqueeze(lines[0], 1))
