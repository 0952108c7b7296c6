"""Images drawn from random parameters: data to try things out with, made offline, free of rights."""
