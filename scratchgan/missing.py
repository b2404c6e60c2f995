"""What is said of a name that PyTorch has and this project has not."""

#: What to use in its place, or why there is nothing.
INSTEAD = {
    "compile": "use scratchgan.jit(function)",
    "half": "the floating types are float32 and float64",
    "float16": "the floating types are float32 and float64",
    "bfloat16": "the floating types are float32 and float64",
    "complex64": "there are no complex numbers",
    "complex128": "there are no complex numbers",
    "sparse_coo_tensor": "there are no sparse tensors",
    "to_sparse": "there are no sparse tensors",
    "script": "use scratchgan.jit(function)",
    "trace_module": "use scratchgan.jit(function)",
    "func": "use scratchgan.autograd.grad with create_graph=True",
    "vmap": "functions take batches",
    "distributed": "there is one process",
    "onnx": "weights are saved with scratchgan.save",
    "grad_fn": "use node",
    "storage": "use array, the backing array of NumPy or CuPy",
    "untyped_storage": "use array, the backing array of NumPy or CuPy",
    "stride": "use array.strides, which are in bytes",
    "data_ptr": "use array, the backing array of NumPy or CuPy",
    "Conv2d": "networks are fully connected here",
    "ConvTranspose2d": "networks are fully connected here",
    "BatchNorm2d": "networks are fully connected here; BatchNorm1d takes (N, C) and (N, C, L)",
    "MaxPool2d": "networks are fully connected here",
    "LSTM": "networks are fully connected here",
    "GRU": "networks are fully connected here",
    "Transformer": "networks are fully connected here",
    "DataParallel": "there is one device for a module",
}


def no_such(owner: str, name: str) -> AttributeError:
    """The error for a name that ``owner`` has not."""
    advice = INSTEAD.get(name)
    return AttributeError(f"{owner} has no {name!r}" + (f": {advice}" if advice else ""))
