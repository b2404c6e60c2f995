"""Passes over a recording: fuse, reuse buffers, lay out memory."""
