"""One encoder per format: rows of samples in, a file's bytes out, in pieces where the format allows it.

An encoder appends to a binary stream that starts empty and can seek. Each holds a few rows beside the picture; only
WebP needs it whole, and its sides end at 16,383 px.
"""
