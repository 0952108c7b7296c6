"""Generators: networks from picture to picture."""
