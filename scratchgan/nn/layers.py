"""Layers: modules that compute one function of a tensor, under PyTorch's names and defaults."""

import math

from scratchgan import creation, dtypes, functions, ops
from scratchgan.autograd import no_grad
from scratchgan.autograd.primitive import REGISTRY
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import functional, init
from scratchgan.nn.module import Module, Parameter

# --- With weights ---------------------------------------------------------------------


class Linear(Module):
    """``x @ weight.T + bias``.

    Weight and bias start from the uniform distribution on ±1/√in_features.

    Args:
        in_features: Size of the last axis of the input.
        out_features: Size of the last axis of the output.
        bias: Whether to add a bias.

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,), or None.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(creation.empty(out_features, in_features))
        self.bias = Parameter(creation.empty(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new first values, in place."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # this slope makes it ±1/√in_features
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, activation: str = "none", **keywords: float) -> Tensor:
        """(..., in_features) to (..., out_features), with ``activation`` in the same pass."""
        return functional.linear(x, self.weight, self.bias, activation, **keywords)

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """A table of learned vectors, looked up by integers.

    The vectors start from the standard normal distribution.

    Args:
        num_embeddings: Rows of the table.
        embedding_dim: Length of each vector.

    Attributes:
        weight: The table, (num_embeddings, embedding_dim).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.weight = Parameter(creation.empty(num_embeddings, embedding_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new first values, in place."""
        init.normal_(self.weight)

    def forward(self, indices: Tensor) -> Tensor:
        """Integers of any shape (...) to their vectors, (..., embedding_dim)."""
        return functional.embedding(indices, self.weight)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class BatchNorm1d(Module):
    """Each channel brought to mean 0 and variance 1, then scaled and shifted by what is learned.

    In training, mean and variance are those of the batch, and running averages of them are kept;
    after :meth:`eval` the running averages are used (Ioffe & Szegedy 2015, "Batch normalization",
    algorithms 1 and 2).

    Args:
        num_features: Number of channels C.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running averages.
        affine: Whether to scale and shift.

    Attributes:
        weight: Scale, (C,), at first 1; or None.
        bias: Shift, (C,), at first 0; or None.
        running_mean: Buffer, (C,), at first 0.
        running_var: Buffer, (C,), at first 1; of the unbiased variances.
        num_batches_tracked: Buffer, int64: how many batches the averages have seen.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.weight = Parameter(creation.ones(num_features)) if affine else None
        self.bias = Parameter(creation.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", creation.zeros(num_features))
        self.register_buffer("running_var", creation.ones(num_features))
        self.register_buffer("num_batches_tracked", creation.zeros((), dtype=dtypes.int64))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) or (N, C, L), normalized over all axes but C."""
        if x.ndim not in (2, 3):
            raise ValueError(
                f"batch_norm: an input of shape {x.shape} has {x.ndim} dimensions; expected "
                "(N, C) or (N, C, L)"
            )
        out = functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        if self.training:
            with no_grad():
                self.num_batches_tracked.add_(1)
        return out

    def extra_repr(self) -> str:
        """Size and options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.weight is not None}"
        )


# --- Activations ----------------------------------------------------------------------


class Activation(Module):
    """An elementwise function; after a :class:`Linear` in a Sequential it runs in the same pass.

    Attributes:
        activation: Name of the primitive, a row of :data:`scratchgan.ops.activations.ACTIVATIONS`.
            Its keywords are attributes of the module.
    """

    activation: str

    def keywords(self) -> dict[str, float]:
        """The primitive's keywords."""
        names = REGISTRY[self.activation].keywords
        return {name: getattr(self, name) for name in names} if names else {}

    def is_known_by_output(self) -> bool:
        """Whether the gradient can be found from the output alone, as a Linear does."""
        return self.activation in ops.ACTIVATIONS

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return REGISTRY[self.activation](x, **self.keywords())

    def extra_repr(self) -> str:
        """The keywords."""
        return ", ".join(f"{name}={value}" for name, value in self.keywords().items())


class ReLU(Activation):
    """``max(x, 0)``."""

    activation = "relu"


class LeakyReLU(Activation):
    """``x`` where it is positive, else ``negative_slope * x`` (Maas et al. 2013, eq. 2)."""

    activation = "leaky_relu"

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def is_known_by_output(self) -> bool:
        """Whether the output has the sign of the input."""
        return self.negative_slope >= 0


class Tanh(Activation):
    """Hyperbolic tangent."""

    activation = "tanh"


class Sigmoid(Activation):
    """``1 / (1 + exp(-x))``."""

    activation = "sigmoid"


class Softplus(Activation):
    """``log(1 + exp(x))``."""

    activation = "softplus"


# --- Without weights ------------------------------------------------------------------


class Identity(Module):
    """The input unchanged; a placeholder."""

    def forward(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x


class Flatten(Module):
    """The dimensions from ``start_dim`` to ``end_dim`` as one; by default all but the first."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape that has these dimensions."""
        return functions.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Dropout(Module):
    """In training, zeros in random places and the rest scaled up; see :func:`functional.dropout`.

    Args:
        p: Probability of an element to become zero.
    """

    def __init__(self, p: float = 0.5) -> None:
        functional.check_probability(p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape; after :meth:`eval`, ``x`` itself."""
        return functional.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"
