"""Inference: from weights and image files to image files.

:mod:`~gantools.inference.run` puts the rest together: where the weights lie (``find_weights``), what is read and
written (``plan``), what was asked for (``options``) and what came of it (``gantools.jobs.result``). In ``pipeline``
images are decoded ahead in processes and encoded behind the network. The network's part are the opened weights
(``model``) and what they make of one image (``image``, ``inpainting``, ``forward``).
"""
