"""A stand-in for CuPy on machines without a GPU: arrays that refuse what CuPy's refuse.

:mod:`standin.arrays` is the array, :mod:`standin.cupy` the module around it, and
:mod:`standin.emulator` runs CUDA kernels on the CPU. With all three the backend itself runs, but
for cuBLAS and CuPy's own kernels, which NumPy computes. Without g++ the NumPy kernels compute on
these arrays (:mod:`standin.kernels`), so that at least everything above the kernels runs on them.
"""
