"""Discriminators and critics: networks from image to logits."""
