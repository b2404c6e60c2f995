"""Functions of a whole module or of all its parameters, under PyTorch's names."""

import math
from collections.abc import Iterable

from scratchgan import functions, ops
from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.missing import refuse_others
from scratchgan.nn import functional
from scratchgan.nn.layers import Linear
from scratchgan.nn.module import Module
from scratchgan.nn.parameter import Parameter
from scratchgan.random import randn

# --- Gradients --------------------------------------------------------------------------


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [x.grad for x in given if x.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients down together, in place, so that their norm is at most ``max_norm``.

    See Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    Args:
        parameters: A tensor, or several; those without a gradient are passed over.
        max_norm: The largest norm.
        norm_type: p of the p-norm of all elements, as of one vector; may be ``inf``.
        error_if_nonfinite: Whether a norm that is nan or infinite is an error.
        foreach: PyTorch's; has no effect.

    Returns:
        The norm as it was, without dimensions.

    Raises:
        RuntimeError: The norm is not finite, with ``error_if_nonfinite``.
    """
    gradients = _gradients(parameters)
    with no_grad():
        if not gradients:
            return as_tensor(0.0)
        total = _norm_of_all(gradients, float(norm_type))
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise RuntimeError(
                f"clip_grad_norm_: the norm of the gradients is {total.item()}; find out where "
                "that comes from, or leave error_if_nonfinite out"
            )
        factor = ops.clip(ops.div(max_norm, ops.add(total, 1e-6)), max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
    return total


def _norm_of_all(gradients: list[Tensor], p: float) -> Tensor:
    if p == math.inf:
        largest = [ops.amax(ops.abs(gradient)) for gradient in gradients]
        return ops.amax(functions.stack(largest))
    if p == 2:
        sums = [ops.sum(ops.square(gradient)) for gradient in gradients]
        return ops.sqrt(ops.sum(functions.stack(sums)))
    sums = [ops.sum(ops.pow(ops.abs(gradient), p)) for gradient in gradients]
    return ops.pow(ops.sum(functions.stack(sums)), 1 / p)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Keep each element of all gradients within ``[-clip_value, clip_value]``, in place.

    Args:
        parameters: A tensor, or several; those without a gradient are passed over.
        clip_value: The largest size.
        foreach: PyTorch's; has no effect.
    """
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(min=-clip_value, max=clip_value)


# --- Parameters as one vector -----------------------------------------------------------


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters, one after another, as a vector on the tape."""
    return functions.cat([functions.reshape(parameter, -1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of a vector into the parameters, one after another.

    PyTorch makes the parameters parts of the vector's memory; here they keep their own.

    Raises:
        TypeError: ``vec`` is no tensor.
        ValueError: It has not as many elements as the parameters have.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec is a tensor, not {type(vec).__name__}")
    targets = list(parameters)
    count = sum(parameter.numel() for parameter in targets)
    if vec.shape != (count,):
        raise ValueError(
            f"vector_to_parameters: a vector of shape {vec.shape} for {count} elements"
        )
    start = 0
    with no_grad():
        for parameter in targets:
            part = vec.detach()[start : start + parameter.numel()]
            parameter.copy_(functions.reshape(part, parameter.shape))
            start += parameter.numel()


# --- Spectral normalization -------------------------------------------------------------


def spectral_norm(
    module: Linear,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """A layer that computes with the weight of ``module``, divided by its largest singular value.

    So the layer stretches nothing, and a discriminator of such layers is not steep (Miyato et al.
    2018, "Spectral normalization for generative adversarial networks", algorithm 1). The singular
    value is followed by steps of the power method, in training only.

    Args:
        module: The layer; it shares its parameters with the result.
        name: Of the parameter: ``"weight"``.
        n_power_iterations: Steps of the power method before each use.
        eps: Least length of a vector that is divided by its length.
        dim: The dimension of the outputs: 0.

    Raises:
        TypeError: ``module`` is no Linear.
        ValueError: ``n_power_iterations`` is less than 1, or another parameter or dimension is
            asked for.
    """
    if name != "weight" or dim not in (None, 0):
        raise ValueError(f"spectral_norm: of {name!r} along dim {dim}; only 'weight' along 0")
    if not isinstance(module, Linear):
        raise TypeError(f"spectral_norm: takes a Linear, not {type(module).__name__}")
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: {n_power_iterations} power iterations; at least 1")
    return _SpectralLinear(module, n_power_iterations, eps)


class _SpectralLinear(Module):
    """The layer that :func:`spectral_norm` gives; its names are those of PyTorch's state dict.

    Attributes:
        weight_orig: (out_features, in_features), the weight that is learned.
        bias: (out_features,), or None.
        weight_u: Buffer, (out_features,), the left singular vector by now.
        weight_v: Buffer, (in_features,), the right one.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, linear: Linear, n_power_iterations: int, eps: float) -> None:
        self.n_power_iterations = n_power_iterations
        self.eps = eps
        self.weight_orig: Parameter = linear.weight
        self.bias = linear.bias
        rows, columns = linear.weight.shape
        like = {"dtype": linear.weight.dtype, "device": linear.weight.device}
        with no_grad():
            self.register_buffer("weight_u", self._unit(randn(rows, **like)))
            self.register_buffer("weight_v", self._unit(randn(columns, **like)))

    def _unit(self, x: Tensor) -> Tensor:
        return x / x.square().sum().sqrt().clip(min=self.eps)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return functional.linear(x, self.weight, self.bias)

    @property
    def weight(self) -> Tensor:
        """The weight that the layer computes with; in training, after a step of the method."""
        weight = self.weight_orig
        if self.training:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    self.weight_v.copy_(self._unit(self.weight_u @ weight))
                    self.weight_u.copy_(self._unit(weight @ self.weight_v))
        # As they are now: the next step changes them in place.
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return weight / (u * (weight @ v)).sum()

    def extra_repr(self) -> str:
        """The sizes."""
        rows, columns = self.weight_orig.shape
        return f"in_features={columns}, out_features={rows}, bias={self.bias is not None}"


refuse_others(__name__)
