"""A runnable study of attention mechanisms for single-image super-resolution."""

__version__ = "0.1.0"
