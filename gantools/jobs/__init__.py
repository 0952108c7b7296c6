"""What commands over folders share: which pictures are read, what may be written, what came of each. No torch."""
