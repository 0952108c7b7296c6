"""One data set per file: how files become samples of one kind."""
