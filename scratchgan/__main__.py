"""``python -m scratchgan`` is the command ``scratchgan``."""

from scratchgan.cli import main

if __name__ == "__main__":
    main()
