"""The fast path on NVIDIA GPUs: CUDA kernels, their source, and how they are launched."""
