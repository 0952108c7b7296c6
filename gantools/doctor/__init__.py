"""Look over an installation: what it consists of, what is wrong with it, and the line that mends each problem."""
