"""The data workshop: folders of pictures become folders of training data, by the functions that the loaders use.

``tasks`` settles what is read and written, ``runner`` carries it out in several processes; the rest is what is done to
a picture or a pair. Randomness depends on the seed and a picture's name alone: not on its neighbours, not on workers.
Only ``lowres`` and ``blur`` import torch, for bicubic resizing and Fourier transforms.
"""
