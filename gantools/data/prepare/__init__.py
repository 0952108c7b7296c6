"""Preparing data: folders of images become folders of training data, by the functions that the loaders use.

``tasks`` settles what is read and written and carries it out in several processes; the rest is what is done to an image
or a pair. Randomness depends on the seed and an image's name alone: not on its neighbours, not on workers.
Only ``lowres`` and ``blur`` import torch, for bicubic resizing and Fourier transforms.
"""
