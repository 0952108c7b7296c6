"""A tour in a few minutes, offline: a small training, and what the shipped weights make of sample photos."""
