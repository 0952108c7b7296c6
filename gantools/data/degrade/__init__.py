"""Making the input of a pair from a good image."""
