"""Inference: from weights and picture files to picture files.

:mod:`~gantools.inference.session` puts the rest together: where the weights lie (``locate``), what is read and written
(``plan``), what was asked for (``settings``) and what came of it (``result``), none of which imports torch; then the
opened weights (``bundle``) and the way of one picture: decode, pre-process, network, post-process, encode (``engine``).
"""
