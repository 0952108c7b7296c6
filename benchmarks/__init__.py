"""Measurements for docs/benchmarks.md; not part of the installed package. Run as ``python -m benchmarks.NAME``."""
