"""scratchgan: automatic differentiation from scratch, and the GAN that it trains on MNIST.

``import scratchgan as sg`` brings tensors, their functions, ``sg.autograd``, ``sg.nn`` and
``sg.optim``, under PyTorch's names. Only NumPy is imported; Numba comes when first needed.

This file is the table of the public names, each once. ``add as add`` says to type checkers that a
name is public here (PEP 484, "Stub files"; the typing specification, "Library interface").
"""
# ruff: noqa: I001, each room's names stand together

import types as _types
import typing as _typing

import scratchgan.in_place
import scratchgan.interchange
import scratchgan.notebook  # noqa: F401, these attach methods to Tensor
from scratchgan.missing import no_such as _no_such

from scratchgan import (
    autograd as autograd,
    cuda as cuda,
    nn as nn,
    optim as optim,
)
from scratchgan.autograd import (
    enable_grad as enable_grad,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from scratchgan.autograd.elementwise import elementwise as elementwise
from scratchgan.autograd.primitive import primitive as primitive
from scratchgan.autograd.tensor import Tensor as Tensor
from scratchgan.backend import (
    BackendError as BackendError,
    get_backend as get_backend,
    set_backend as set_backend,
    use_backend as use_backend,
)
from scratchgan.backend.devices import Device as _Device
from scratchgan.creation import (
    arange as arange,
    as_tensor as as_tensor,
    empty as empty,
    empty_like as empty_like,
    eye as eye,
    from_dlpack as from_dlpack,
    from_numpy as from_numpy,
    full as full,
    full_like as full_like,
    linspace as linspace,
    ones as ones,
    ones_like as ones_like,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from scratchgan.dtypes import (
    bool_ as bool_,
    float32 as float32,
    float64 as float64,
    get_default_dtype as get_default_dtype,
    int8 as int8,
    int16 as int16,
    int32 as int32,
    int64 as int64,
    set_default_dtype as set_default_dtype,
    uint8 as uint8,
)
from scratchgan.functions import power as _power
from scratchgan.functions import (
    add as add,
    addbmm as addbmm,
    addcdiv as addcdiv,
    addcmul as addcmul,
    addmm as addmm,
    addmv as addmv,
    addr as addr,
    all as all,
    allclose as allclose,
    any as any,
    argmax as argmax,
    argmin as argmin,
    argsort as argsort,
    baddbmm as baddbmm,
    bitwise_not as bitwise_not,
    bmm as bmm,
    broadcast_tensors as broadcast_tensors,
    broadcast_to as broadcast_to,
    cat as cat,
    chunk as chunk,
    clamp as clamp,
    clamp_max as clamp_max,
    clamp_min as clamp_min,
    copysign as copysign,
    count_nonzero as count_nonzero,
    cummax as cummax,
    cummin as cummin,
    cumprod as cumprod,
    cumsum as cumsum,
    deg2rad as deg2rad,
    diag as diag,
    diag_embed as diag_embed,
    diagflat as diagflat,
    diagonal as diagonal,
    diff as diff,
    dist as dist,
    div as div,
    dot as dot,
    einsum as einsum,
    equal as equal,
    flatten as flatten,
    flip as flip,
    float_power as float_power,
    floor_divide as floor_divide,
    fmod as fmod,
    frac as frac,
    gather as gather,
    heaviside as heaviside,
    hstack as hstack,
    hypot as hypot,
    index_add as index_add,
    index_copy as index_copy,
    index_fill as index_fill,
    index_select as index_select,
    inner as inner,
    is_floating_point as is_floating_point,
    isclose as isclose,
    isfinite as isfinite,
    isinf as isinf,
    isnan as isnan,
    isneginf as isneginf,
    isposinf as isposinf,
    kron as kron,
    kthvalue as kthvalue,
    lerp as lerp,
    logaddexp as logaddexp,
    logcumsumexp as logcumsumexp,
    logical_and as logical_and,
    logical_not as logical_not,
    logical_or as logical_or,
    logical_xor as logical_xor,
    logit as logit,
    logsumexp as logsumexp,
    masked_select as masked_select,
    matmul as matmul,
    max as max,
    mean as mean,
    median as median,
    meshgrid as meshgrid,
    min as min,
    mm as mm,
    movedim as movedim,
    msort as msort,
    mul as mul,
    mv as mv,
    nan_to_num as nan_to_num,
    narrow as narrow,
    nonzero as nonzero,
    norm as norm,
    outer as outer,
    permute as permute,
    positive as positive,
    prod as prod,
    rad2deg as rad2deg,
    remainder as remainder,
    repeat_interleave as repeat_interleave,
    reshape as reshape,
    roll as roll,
    round as round,
    rsub as rsub,
    scatter as scatter,
    scatter_add as scatter_add,
    select as select,
    sgn as sgn,
    sign as sign,
    signbit as signbit,
    sinc as sinc,
    softmax as softmax,
    sort as sort,
    split as split,
    square as square,
    squeeze as squeeze,
    stack as stack,
    std as std,
    sub as sub,
    t as t,
    take_along_dim as take_along_dim,
    tensordot as tensordot,
    tile as tile,
    topk as topk,
    trace as trace,
    transpose as transpose,
    tril as tril,
    triu as triu,
    true_divide as true_divide,
    unbind as unbind,
    unflatten as unflatten,
    unsqueeze as unsqueeze,
    var as var,
    vdot as vdot,
    vstack as vstack,
    xlogy as xlogy,
)
from scratchgan.jit import (
    JitError as JitError,
    jit as jit,
)
from scratchgan.legacy import (
    BoolTensor as BoolTensor,
    ByteTensor as ByteTensor,
    CharTensor as CharTensor,
    DoubleTensor as DoubleTensor,
    FloatTensor as FloatTensor,
    IntTensor as IntTensor,
    LongTensor as LongTensor,
    ShortTensor as ShortTensor,
)
from scratchgan.ops import (
    abs as abs,
    acos as acos,
    acosh as acosh,
    amax as amax,
    amin as amin,
    asin as asin,
    asinh as asinh,
    atan as atan,
    atan2 as atan2,
    atanh as atanh,
    bitwise_and as bitwise_and,
    bitwise_left_shift as bitwise_left_shift,
    bitwise_or as bitwise_or,
    bitwise_right_shift as bitwise_right_shift,
    bitwise_xor as bitwise_xor,
    ceil as ceil,
    cos as cos,
    cosh as cosh,
    eq as eq,
    erf as erf,
    erfc as erfc,
    exp as exp,
    exp2 as exp2,
    expm1 as expm1,
    floor as floor,
    ge as ge,
    gt as gt,
    le as le,
    log as log,
    log1p as log1p,
    log2 as log2,
    log10 as log10,
    log_softmax as log_softmax,
    lt as lt,
    maximum as maximum,
    minimum as minimum,
    ne as ne,
    neg as neg,
    reciprocal as reciprocal,
    relu as relu,
    rsqrt as rsqrt,
    sigmoid as sigmoid,
    sin as sin,
    sinh as sinh,
    softplus as softplus,
    sqrt as sqrt,
    sum as sum,
    tan as tan,
    tanh as tanh,
    trunc as trunc,
    where as where,
)
from scratchgan.random import (
    Generator as Generator,
    bernoulli as bernoulli,
    manual_seed as manual_seed,
    normal as normal,
    rand as rand,
    rand_like as rand_like,
    randint as randint,
    randint_like as randint_like,
    randn as randn,
    randn_like as randn_like,
    randperm as randperm,
)
from scratchgan.serialization import (
    load as load,
    save as save,
)
from scratchgan.threads import (
    get_num_threads as get_num_threads,
    set_num_threads as set_num_threads,
)

device = _Device
bool, short, int, long, float, double = bool_, int16, int32, int64, float32, float64

# PyTorch has more than one name for these.
absolute, negative, multiply, subtract, divide = abs, neg, mul, sub, div
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh, fix = asinh, acosh, atanh, trunc
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
clip, pow = clamp, _power
concat = concatenate = cat
swapaxes = swapdims = transpose
moveaxis, ger = movedim, outer

if not _typing.TYPE_CHECKING:  # who checks types reads the table itself
    #: What ``from scratchgan import *`` brings: the table, of modules only those that are in it.
    __all__ = [
        _name
        for _name, _value in globals().items()
        if not _name.startswith("_")
        and (
            not isinstance(_value, _types.ModuleType)
            or _name in {"autograd", "cuda", "nn", "optim"}
        )
    ]


def __getattr__(name: str) -> _typing.Any:
    """What is imported when it is first named."""
    import importlib

    if name in ("utils", "vision"):
        return importlib.import_module(f"{__name__}.{name}")
    if name in ("graph", "inspect", "trace_backward"):
        return getattr(importlib.import_module(f"{__name__}.viz.inspector"), name)
    raise _no_such(__name__, name)
