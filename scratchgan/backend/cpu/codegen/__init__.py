"""From Python source to LLVM's language, to machine code, to a file."""
