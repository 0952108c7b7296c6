"""Images through a network whole, in tiles, or in passes over rows, within the memory there is."""
