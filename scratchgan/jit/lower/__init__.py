"""From fused loops to source: for the CPU, and for CUDA."""
