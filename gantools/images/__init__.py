"""Images: reading, writing, value ranges, colour, resizing and padding.

Everything outside this package sees an image as :class:`gantools.images.image.Image` (uint8 or uint16 HWC RGB) or
as a float NCHW tensor in [-1, 1]; :mod:`gantools.images.ranges` is the only place that goes from one to the other.
"""
