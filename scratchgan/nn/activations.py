"""Activations: modules that bend each number, under PyTorch's names and defaults."""

from typing import Any

from numpy.typing import DTypeLike

from scratchgan import creation, ops
from scratchgan.autograd.primitive import REGISTRY, Primitive
from scratchgan.autograd.tensor import Tensor
from scratchgan.nn import functional
from scratchgan.nn.functional.common import changed_in_place
from scratchgan.nn.module import Module
from scratchgan.nn.parameter import Parameter

# --- Those that a Linear computes in its own pass ---------------------------------------


class Activation(Module):
    """An elementwise function; after a :class:`Linear` in a Sequential it runs in the same pass.

    Attributes:
        activation: Name of the primitive, a row of :data:`scratchgan.ops.activations.ACTIVATIONS`.
            Its keywords are attributes of the module.
        inplace: Whether the input itself is changed.
    """

    activation: str
    inplace: bool = False

    def keywords(self) -> dict[str, float]:
        """The primitive's keywords."""
        names = self._primitive().keywords
        return {name: getattr(self, name) for name in names} if names else {}

    def is_known_by_output(self) -> bool:
        """Whether the gradient can be found from the output alone, as a Linear does."""
        return self.activation in ops.ACTIVATIONS

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape."""
        if self.inplace:
            return changed_in_place(self.activation, input, self._computed)
        return self._computed(input)

    def _computed(self, x: Tensor) -> Tensor:
        return self._primitive()(x, **self.keywords())

    def _primitive(self) -> Primitive:
        primitive = REGISTRY.get(self.activation)
        if primitive is None:
            raise ValueError(
                f"{type(self).__name__}: there is no primitive named {self.activation!r}; declare "
                "it with @elementwise"
            )
        return primitive

    def extra_repr(self) -> str:
        """The keywords."""
        words = [f"{name}={value}" for name, value in self.keywords().items()]
        return ", ".join(words + ["inplace=True"] * self.inplace)


class ReLU(Activation):
    """``max(x, 0)``; with ``inplace`` the input itself becomes that."""

    activation = "relu"

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class LeakyReLU(Activation):
    """``x`` where it is positive, else ``negative_slope * x`` (Maas et al. 2013, eq. 2)."""

    activation = "leaky_relu"

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope
        self.inplace = inplace

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
    """``log(1 + exp(beta x)) / beta``, and ``x`` where ``beta x`` is above ``threshold``.

    See :func:`functional.softplus`, which is exact for ``beta`` 1 and this threshold.
    """

    activation = "softplus"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def is_known_by_output(self) -> bool:
        """Whether it is the primitive."""
        return self.beta == 1 and self.threshold >= 20

    def _computed(self, x: Tensor) -> Tensor:
        return functional.softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The options."""
        return f"beta={self.beta}, threshold={self.threshold}"


# --- Those that are functions of this package -------------------------------------------


class _Function(Module):
    """A module that calls the function ``name`` with its attributes ``options``, in this order.

    Those of them that are ``shown`` stand in the representation as ``option=value``, or, if
    ``are_named`` is false, as the value alone.
    """

    name: str
    options: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    are_named = True
    inplace: bool | None = None  # None: it cannot be

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape that the function takes."""
        options = {option: getattr(self, option) for option in self.options}
        if self.inplace:
            options["inplace"] = True
        function: Any = getattr(functional, self.name)
        return function(input, **options)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The options."""
        words = [
            f"{option}={getattr(self, option)}" if self.are_named else str(getattr(self, option))
            for option in self.shown
        ]
        return ", ".join(words + ["inplace=True"] * bool(self.inplace))


class _InPlace(_Function):
    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class ELU(_Function):
    """``x`` where it is positive, else ``alpha (exp(x) - 1)``; see :func:`functional.elu`."""

    name = "elu"
    options = shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace


class CELU(_Function):
    """``x`` where it is positive, else ``alpha (exp(x / alpha) - 1)`` (Barron 2017)."""

    name = "celu"
    options = shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        if alpha == 0:
            raise ValueError("CELU: alpha is 0; it must be another number")
        self.alpha = alpha
        self.inplace = inplace


class SELU(_InPlace):
    """:class:`ELU` scaled so that signals keep mean 0 and variance 1 (Klambauer et al. 2017)."""

    name = "selu"


class GELU(_Function):
    """``x`` times the probability that a standard normal number is below it.

    Args:
        approximate: ``"none"`` or ``"tanh"``; see :func:`functional.gelu`.
    """

    name = "gelu"
    options = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def extra_repr(self) -> str:
        """The approximation."""
        return f"approximate={self.approximate!r}"


class SiLU(_InPlace):
    """``x sigmoid(x)``, also known as swish (Ramachandran et al. 2017)."""

    name = "silu"


class Mish(_InPlace):
    """``x tanh(softplus(x))`` (Misra 2019)."""

    name = "mish"


class PReLU(Module):
    """``x`` where it is positive, else ``weight * x``, with a slope that is learned.

    See He et al. 2015, eq. 1.

    Args:
        num_parameters: 1, or a slope for each channel.
        init: The first slope.
        device: Where the parameter lies.
        dtype: Its type.

    Attributes:
        weight: (num_parameters,).
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: str | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(creation.full((num_parameters,), init, dtype=dtype, device=device))

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...), or of any shape with one slope."""
        return functional.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many slopes."""
        return f"num_parameters={self.num_parameters}"


class RReLU(_Function):
    """``x`` where it is positive, else ``slope * x``; in training with slopes that are drawn.

    See :func:`functional.rrelu`.
    """

    name = "rrelu"
    options = ("lower", "upper", "training")
    shown = ("lower", "upper")

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        self.lower = lower
        self.upper = upper
        self.inplace = inplace


class GLU(_Function):
    """The first half of the input along ``dim`` times the sigmoid of the other."""

    name = "glu"
    options = shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Hardtanh(_Function):
    """``x`` kept within ``[min_val, max_val]``.

    Args:
        min_val: The least value.
        max_val: The largest.
        inplace: Whether the input itself is changed.
        min_value: Not supported: an old name of ``min_val``.
        max_value: Not supported: an old name of ``max_val``.
    """

    name = "hardtanh"
    options = shown = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        if min_value is not None or max_value is not None:
            raise TypeError("Hardtanh: min_value and max_value are called min_val and max_val")
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: min_val is {min_val}, not below max_val, {max_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace


class ReLU6(_InPlace):
    """``x`` kept within [0, 6]."""

    name = "relu6"


class Hardsigmoid(_InPlace):
    """``x / 6 + 1/2`` kept within [0, 1]."""

    name = "hardsigmoid"


class Hardswish(_InPlace):
    """``x hardsigmoid(x)`` (Howard et al. 2019, section 5.2)."""

    name = "hardswish"


class Hardshrink(_Function):
    """``x`` where it lies outside of ``[-lambd, lambd]``, else 0."""

    name = "hardshrink"
    options = shown = ("lambd",)
    are_named = False

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd


class Softshrink(_Function):
    """``x`` moved towards 0 by ``lambd``, and not beyond."""

    name = "softshrink"
    options = shown = ("lambd",)
    are_named = False

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd


class Tanhshrink(_Function):
    """``x - tanh(x)``."""

    name = "tanhshrink"


class Softsign(_Function):
    """``x / (1 + |x|)``."""

    name = "softsign"


class LogSigmoid(_Function):
    """``log(sigmoid(x))``; never overflows."""

    name = "logsigmoid"


class Threshold(_Function):
    """``x`` where it is above ``threshold``, else ``value``."""

    name = "threshold"
    options = shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold = threshold
        self.value = value
        self.inplace = inplace


class _Along(Module):
    """A function along one dimension; without one PyTorch's choice is taken, with a warning."""

    name: str

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Of any shape."""
        function: Any = getattr(functional, self.name)
        return function(input, self.dim, _stacklevel=5)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class Softmax(_Along):
    """``exp(x) / sum(exp(x))`` along ``dim``; see :func:`functional.softmax`."""

    name = "softmax"


class LogSoftmax(_Along):
    """``log(softmax(x))`` along ``dim``."""

    name = "log_softmax"


class Softmin(_Along):
    """``softmax(-x)`` along ``dim``."""

    name = "softmin"
