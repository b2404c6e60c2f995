"""Errors for names that PyTorch has and this project has not."""

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

C = TypeVar("C", bound=type)

_FLOATS = "the floating types are float32 and float64"
_CONNECTED = "networks are fully connected here"
_REAL = "there are no complex numbers"
_DENSE = "there are no sparse tensors"
_DECOMPOSED = "matrices are not decomposed or inverted here; use numpy.linalg on x.numpy()"
_ARRAY = "use array, the backing array of NumPy or CuPy"
_ONE = "there is one process, and one device for a module"
_EXACT = "there are no reduced precisions on the tape; see scratchgan.cuda.set_matmul_precision"
_DRAWN = "draw with scratchgan.rand, scratchgan.randn or scratchgan.bernoulli, and transform"
_LAMBDA = "use LambdaLR, which takes any function of the epoch"
_OPTIMIZERS = "the optimizers are SGD, Adam, AdamW, RMSprop and Adagrad"
_UNDERSCORE = "the name ends in an underscore"
_OWN = "write a class with __call__"

#: The name to use in its place, or why there is nothing.
INSTEAD = {
    **dict.fromkeys(("compile", "script", "trace_module", "cond"), "use scratchgan.jit(function)"),
    **dict.fromkeys(("half", "float16", "bfloat16", "HalfTensor", "BFloat16Tensor"), _FLOATS),
    **dict.fromkeys(("complex64", "complex128", "view_as_real", "view_as_complex", "polar"), _REAL),
    **dict.fromkeys(("real", "imag", "conj", "angle", "stft", "istft", "fft"), _REAL),
    **dict.fromkeys(("det", "inverse", "pinverse", "logdet", "slogdet", "svd", "qr"), _DECOMPOSED),
    **dict.fromkeys(("cholesky", "lu", "lstsq", "eig", "linalg", "matrix_exp"), _DECOMPOSED),
    **dict.fromkeys(("storage", "untyped_storage", "data_ptr", "storage_offset"), _ARRAY),
    **dict.fromkeys(("DataParallel", "SyncBatchNorm", "distributed", "multiprocessing"), _ONE),
    **dict.fromkeys(("autocast", "GradScaler", "amp", "set_float32_matmul_precision"), _EXACT),
    **dict.fromkeys(("multinomial", "poisson", "exponential_", "random_", "cauchy_"), _DRAWN),
    **dict.fromkeys(("geometric_", "log_normal_", "distributions"), _DRAWN),
    **dict.fromkeys(("OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts"), _LAMBDA),
    **dict.fromkeys(("PolynomialLR", "ConstantLR", "MultiplicativeLR", "SequentialLR"), _LAMBDA),
    **dict.fromkeys(("ChainedScheduler",), _LAMBDA),
    **dict.fromkeys(("Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"), _OPTIMIZERS),
    **dict.fromkeys(("LBFGS", "Adafactor", "Muon", "SparseAdam"), _OPTIMIZERS),
    **dict.fromkeys(("RandomRotation", "RandomCrop", "RandomAffine", "ColorJitter"), _OWN),
    **dict.fromkeys(("xavier_uniform", "xavier_normal", "orthogonal", "constant"), _UNDERSCORE),
    **dict.fromkeys(("kaiming_uniform", "kaiming_normal"), _UNDERSCORE),
    "func": "use scratchgan.autograd.functional",
    "vmap": "functions take batches",
    "onnx": "weights are saved with scratchgan.save",
    "grad_fn": "use node",
    "stride": "use array.strides, which are in bytes",
    "as_strided": "use view, expand, permute or indices",
    "unfold": "use indices: x[scratchgan.arange(count)[:, None] * step + scratchgan.arange(size)]",
    "gradcheck": "use scratchgan.testing.gradcheck",
    "gradgradcheck": "use scratchgan.testing.gradgradcheck",
    "set_detect_anomaly": "use the context scratchgan.autograd.detect_anomaly()",
    "set_default_device": "give device=, or call to(device)",
    "get_device": "use device",
    "set_default_tensor_type": "use scratchgan.set_default_dtype",
    "set_printoptions": "use numpy.set_printoptions, by which tensors are printed",
    "get_rng_state": "use a scratchgan.Generator, whose state can be kept",
    "set_rng_state": "use a scratchgan.Generator, whose state can be kept",
    "initial_seed": "use scratchgan.manual_seed",
    "seed": "use scratchgan.manual_seed",
    "use_deterministic_algorithms": "every result is deterministic",
    "are_deterministic_algorithms_enabled": "every result is deterministic",
    "backends": "every result is deterministic; see scratchgan.use_backend",
    "asarray": "use as_tensor",
    "frombuffer": "use from_numpy(numpy.frombuffer(...))",
    "range": "use arange, which leaves the end out",
    "scatter_reduce": "use scatter_add, or bincount with weights",
    "register_backward_hook": "use register_full_backward_hook",
    "erfinv": "there is no inverse of erf",
    "lgamma": "there is no gamma function",
    "digamma": "there is no gamma function",
    "histogram": "use histc",
    "pin_memory": "arrays go to the device in one copy; call to(device)",
    "share_memory_": _ONE,
    "detach_": "use detach()",
    "set_": "use data, which may be assigned",
    "resize_": "make a new tensor with empty or reshape",
    "apply_": "write the function in tensors; they are computed element by element",
    "map_": "write the function in tensors; they are computed element by element",
    "weight_norm": "use spectral_norm, or compute the weight in forward",
    "remove_weight_norm": "use spectral_norm, or compute the weight in forward",
    "remove_spectral_norm": "make a layer without, and load the weight into it",
    "clip_grad_norm": "use clip_grad_norm_",
    "get_total_norm": "clip_grad_norm_ returns it",
    "MultiheadAttention": "use nn.functional.scaled_dot_product_attention between Linear layers",
    "LazyLinear": "use Linear, with the number of features",
    "gumbel_softmax": "add -log(-log(rand_like(x))) to x before softmax",
    "WeightedRandomSampler": "write a Sampler that yields numpy.random's choices",
    "BatchNorm2d": "networks are fully connected here; BatchNorm1d takes (N, C) and (N, C, L)",
}

_OF_TENSORS = """
    angle apply_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided bfloat16 cauchy_
    cholesky coalesce conj crow_indices data_ptr dequantize det detach_ digamma eig eq_ erfinv
    exponential_ ge_ geometric_ get_device grad_fn greater_ greater_equal_ gt_ half hardshrink
    histogram imag inverse is_coalesced is_mkldnn is_quantized is_sparse is_sparse_csr istft le_
    less_ less_equal_ lgamma log_normal_ logdet lstsq lt_ lu map_ matrix_exp multinomial ne_
    not_equal_ pin_memory pinverse prelu q_per_channel_axis q_per_channel_scales
    q_per_channel_zero_points q_scale q_zero_point qr random_ real resize_ resize_as_sparse_
    scatter_reduce set_ share_memory_ slogdet sparse_dim sparse_mask sparse_resize_
    sparse_resize_and_clear_ squeeze_ stft storage storage_offset stride svd swapaxes_ swapdims_ t_
    to_dense to_mkldnn to_sparse to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc
    to_sparse_csr transpose_ unfold unsqueeze_ untyped_storage
"""
#: The names of PyTorch's Tensor that this one has not and on which there is advice.
OF_TENSORS = _OF_TENSORS.split()

#: Advice for names by their form; the first that fits.
_FORMS = [
    (r".*(sparse|_coo|_csr|_csc|_bsr|_bsc|coalesce|to_dense|crow_).*|(h|s|ds)sp?mm|spmm", _DENSE),
    (r".*(quant|qint|mkldnn|cudnn|miopen|fbgemm).*|q_.*", _FLOATS),
    (r"(Zero|Constant|Circular|Reflection|Replication)Pad[123]d", "use nn.functional.pad"),
    (r"(Lazy)?(Conv|conv|(Adaptive)?(Avg|Max)(Unp|P)|(adaptive_)?(avg|max)_(unp|p)).*", _CONNECTED),
    (r"(LPPool|lp_pool).*", _CONNECTED),
    (r"(Fractional|fractional|Instance|Upsample|upsample|interpolate|Pixel|pixel_).*", _CONNECTED),
    (
        r".*(Pad|Norm|Dropout|dropout|Softmax|Loss|pool)[123]d.*|[Ff]old|Unfold|grid_sample.*",
        _CONNECTED,
    ),
    (r"(LSTM|GRU|RNN|lstm|gru|rnn_|Transformer|EmbeddingBag|embedding_bag).*", _CONNECTED),
    (
        r"(local_response|LocalResponse|channel_shuffle|ChannelShuffle|CrossMap|affine_grid).*",
        _CONNECTED,
    ),
]


def _advice(name: str) -> str:
    if name in INSTEAD:
        return INSTEAD[name]
    for form, advice in _FORMS:
        if re.fullmatch(form, name):
            return advice
    package = sys.modules.get(__package__)
    functional = getattr(getattr(package, "nn", None), "functional", None)
    if name in getattr(functional, "__all__", ()):
        return f"use {__package__}.nn.functional.{name}"
    stem = name.removesuffix("_")
    if stem != name and hasattr(getattr(package, "Tensor", None), stem):
        return f"use {stem}, which makes a new tensor"
    return ""


def no_such(owner: str, name: str) -> AttributeError:
    """The error for a name that ``owner`` has not."""
    advice = "" if name.startswith("_") else _advice(name)
    return AttributeError(f"{owner} has no {name!r}" + (f": {advice}" if advice else ""))


class _Missing:
    """An attribute that there is not; the error says what to use instead."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        advice = _advice(self.name)
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}: {advice}")


def lacking(names: list[str]) -> Callable[[C], C]:
    """Decorator: the error for an attribute that a class lacks says what to use instead.

    A method ``__getattr__`` could say so of every name, but up to Python 3.11 it makes the
    attributes that the class does have slower to find.

    Args:
        names: The attributes, on all of which there is advice.
    """

    def refuse(cls: C) -> C:
        for name in names:
            setattr(cls, name, _Missing(name))
        changed: Any = cls
        changed.__dir__ = _without_missing(changed.__dir__)
        return cls

    return refuse


def _without_missing(inherited: Callable[[Any], Iterable[str]]) -> Callable[[Any], list[str]]:
    def __dir__(self: object) -> list[str]:
        found = dict(item for cls in reversed(type(self).__mro__) for item in vars(cls).items())
        return [x for x in inherited(self) if not isinstance(found.get(x), _Missing)]

    return __dir__


def refuse_others(module: str) -> None:
    """Have a module say of each name that it has not what to use instead.

    Type checkers do not see this, so that they still find names that are wrong.
    """

    def __getattr__(name: str) -> NoReturn:
        raise no_such(module, name)

    vars(sys.modules[module])["__getattr__"] = __getattr__
