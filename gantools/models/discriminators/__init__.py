"""Discriminators and critics: networks from picture to logits."""
