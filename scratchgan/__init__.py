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

from math import e as e, inf as inf, nan as nan, pi as pi
from numpy import dtype as dtype, finfo as finfo, iinfo as iinfo
from scratchgan import (
    autograd as autograd,
    cuda as cuda,
    nn as nn,
    optim as optim,
)
from scratchgan.autograd import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
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
    logspace as logspace,
    ones as ones,
    ones_like as ones_like,
    scalar_tensor as scalar_tensor,
    tensor as tensor,
    tril_indices as tril_indices,
    triu_indices as triu_indices,
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
    promote_types as promote_types,
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
    aminmax as aminmax,
    any as any,
    argmax as argmax,
    argmin as argmin,
    argsort as argsort,
    argwhere as argwhere,
    atleast_1d as atleast_1d,
    atleast_2d as atleast_2d,
    atleast_3d as atleast_3d,
    baddbmm as baddbmm,
    bincount as bincount,
    bitwise_not as bitwise_not,
    block_diag as block_diag,
    bmm as bmm,
    broadcast_shapes as broadcast_shapes,
    broadcast_tensors as broadcast_tensors,
    broadcast_to as broadcast_to,
    bucketize as bucketize,
    cartesian_prod as cartesian_prod,
    cat as cat,
    cdist as cdist,
    chain_matmul as chain_matmul,
    chunk as chunk,
    clamp as clamp,
    clamp_max as clamp_max,
    clamp_min as clamp_min,
    column_stack as column_stack,
    combinations as combinations,
    copysign as copysign,
    corrcoef as corrcoef,
    count_nonzero as count_nonzero,
    cov as cov,
    cross as cross,
    cummax as cummax,
    cummin as cummin,
    cumprod as cumprod,
    cumsum as cumsum,
    cumulative_trapezoid as cumulative_trapezoid,
    deg2rad as deg2rad,
    detach as detach,
    diag as diag,
    diag_embed as diag_embed,
    diagflat as diagflat,
    diagonal as diagonal,
    diagonal_scatter as diagonal_scatter,
    diff as diff,
    dist as dist,
    div as div,
    dot as dot,
    dsplit as dsplit,
    dstack as dstack,
    einsum as einsum,
    equal as equal,
    flatten as flatten,
    flip as flip,
    fliplr as fliplr,
    flipud as flipud,
    float_power as float_power,
    floor_divide as floor_divide,
    fmax as fmax,
    fmin as fmin,
    fmod as fmod,
    frac as frac,
    gather as gather,
    heaviside as heaviside,
    histc as histc,
    hsplit as hsplit,
    hstack as hstack,
    hypot as hypot,
    index_add as index_add,
    index_copy as index_copy,
    index_fill as index_fill,
    index_put as index_put,
    index_select as index_select,
    inner as inner,
    is_complex as is_complex,
    is_floating_point as is_floating_point,
    is_nonzero as is_nonzero,
    is_same_size as is_same_size,
    is_signed as is_signed,
    is_tensor as is_tensor,
    isclose as isclose,
    isfinite as isfinite,
    isin as isin,
    isinf as isinf,
    isnan as isnan,
    isneginf as isneginf,
    isposinf as isposinf,
    isreal as isreal,
    kron as kron,
    kthvalue as kthvalue,
    ldexp as ldexp,
    lerp as lerp,
    logaddexp as logaddexp,
    logaddexp2 as logaddexp2,
    logcumsumexp as logcumsumexp,
    logical_and as logical_and,
    logical_not as logical_not,
    logical_or as logical_or,
    logical_xor as logical_xor,
    logit as logit,
    logsumexp as logsumexp,
    masked_fill as masked_fill,
    masked_scatter as masked_scatter,
    masked_select as masked_select,
    matmul as matmul,
    matrix_power as matrix_power,
    max as max,
    median as median,
    meshgrid as meshgrid,
    min as min,
    mm as mm,
    mode as mode,
    movedim as movedim,
    msort as msort,
    mv as mv,
    nan_to_num as nan_to_num,
    nanmean as nanmean,
    nanmedian as nanmedian,
    nanquantile as nanquantile,
    nansum as nansum,
    narrow as narrow,
    nonzero as nonzero,
    norm as norm,
    numel as numel,
    outer as outer,
    pdist as pdist,
    permute as permute,
    positive as positive,
    prod as prod,
    put as put,
    quantile as quantile,
    rad2deg as rad2deg,
    ravel as ravel,
    remainder as remainder,
    renorm as renorm,
    repeat_interleave as repeat_interleave,
    reshape as reshape,
    result_type as result_type,
    roll as roll,
    rot90 as rot90,
    round as round,
    row_stack as row_stack,
    rsub as rsub,
    scatter as scatter,
    scatter_add as scatter_add,
    searchsorted as searchsorted,
    select as select,
    select_scatter as select_scatter,
    sgn as sgn,
    sign as sign,
    signbit as signbit,
    sinc as sinc,
    slice_scatter as slice_scatter,
    softmax as softmax,
    sort as sort,
    split as split,
    split_with_sizes as split_with_sizes,
    square as square,
    squeeze as squeeze,
    stack as stack,
    std as std,
    std_mean as std_mean,
    sub as sub,
    t as t,
    take as take,
    take_along_dim as take_along_dim,
    tensor_split as tensor_split,
    tensordot as tensordot,
    tile as tile,
    topk as topk,
    trace as trace,
    transpose as transpose,
    trapezoid as trapezoid,
    trapz as trapz,
    tril as tril,
    triu as triu,
    true_divide as true_divide,
    unbind as unbind,
    unflatten as unflatten,
    unique as unique,
    unique_consecutive as unique_consecutive,
    unsqueeze as unsqueeze,
    vander as vander,
    var as var,
    var_mean as var_mean,
    vdot as vdot,
    vsplit as vsplit,
    vstack as vstack,
    where as where,
    xlogy as xlogy,
    swapaxes as swapaxes,
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
    clone as clone,
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
    log10 as log10,
    log1p as log1p,
    log2 as log2,
    log_softmax as log_softmax,
    lt as lt,
    maximum as maximum,
    mean as mean,
    minimum as minimum,
    mul as mul,
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
newaxis, Size = None, tuple
bool, short, int, long, float, double = bool_, int16, int32, int64, float32, float64

# PyTorch has more than one name for these.
absolute, negative, multiply, subtract, divide = abs, neg, mul, sub, div
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh, fix = asinh, acosh, atanh, trunc
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
clip, pow = clamp, _power
concat = concatenate = cat
swapdims = transpose
moveaxis, ger = movedim, outer

if not _typing.TYPE_CHECKING:  # who checks types reads the table itself
    #: The names of ``from scratchgan import *``: the table's, and of modules only those in it.
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
    """Import a part of the package when it is first named."""
    import importlib

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version(__name__)
    if name in ("utils", "vision"):
        return importlib.import_module(f"{__name__}.{name}")
    if name in ("graph", "inspect", "trace_backward"):
        return getattr(importlib.import_module(f"{__name__}.viz.inspector"), name)
    raise _no_such(__name__, name)
