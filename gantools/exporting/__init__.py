"""Models out of gantools: weights of a run's newest checkpoint (``newest``), and files for other programs (``run``)."""

from gantools.exporting.newest import export, make_ready

__all__ = ["export", "make_ready"]
