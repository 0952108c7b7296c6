"""``gantools infer``: pictures, folders and pipes through a model."""

from gantools.cli.infer.command import infer

__all__ = ["infer"]
