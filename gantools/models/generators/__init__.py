"""Generators: networks from image to image."""
