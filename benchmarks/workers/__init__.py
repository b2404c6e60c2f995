"""One script per contender."""
