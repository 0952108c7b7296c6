"""Image-to-image GAN recipes: one training loop, one file format, one command line."""

__version__ = "0.1.0"
