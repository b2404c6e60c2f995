"""What is done to a module as a whole, under PyTorch's names."""

from scratchgan.autograd import no_grad
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import randn
from scratchgan.nn import functional
from scratchgan.nn.layers import Linear
from scratchgan.nn.module import Module, Parameter


def spectral_norm(module: Linear, n_power_iterations: int = 1, eps: float = 1e-12) -> Module:
    """A layer that computes with the weight of ``module``, divided by its largest singular value.

    So the layer stretches nothing, and a discriminator of such layers is not steep (Miyato et al.
    2018, "Spectral normalization for generative adversarial networks", algorithm 1). The singular
    value is followed by steps of the power method, in training only.

    Args:
        module: The layer; it shares its parameters with the result.
        n_power_iterations: Steps of the power method before each use.
        eps: Least length of a vector that is divided by its length.

    Raises:
        TypeError: ``module`` is no Linear.
        ValueError: ``n_power_iterations`` is less than 1.
    """
    if not isinstance(module, Linear):
        raise TypeError(f"spectral_norm: takes a Linear, not a {type(module).__name__}")
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: {n_power_iterations} power iterations; at least 1")
    return _SpectralLinear(module, n_power_iterations, eps)


class _SpectralLinear(Module):
    """What :func:`spectral_norm` gives; its names are those of PyTorch's state dict.

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
