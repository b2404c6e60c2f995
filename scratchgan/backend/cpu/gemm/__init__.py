"""Matrix products: blocks, packed operands and micro-kernels."""
