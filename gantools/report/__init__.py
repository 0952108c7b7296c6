"""A run told on one page: what was trained, how the figures went, what the pictures look like. No torch, no network."""
