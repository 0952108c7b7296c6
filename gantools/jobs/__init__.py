"""What commands over folders share: which images are read, what may be written, what came of each. No torch."""
