"""Inference: from weights and picture files to picture files.

:mod:`~gantools.inference.session` puts the rest together: where the weights lie (``locate``), what is read and written
(``plan``), what was asked for (``settings``) and what came of it (``gantools.jobs.result``). A run is a ``pipeline``:
``supply`` decodes ahead in processes (``decoders``, ``decoder_process``) within a ``budget``, the network works, and
``encoding`` writes behind it. None of these imports torch, so that pictures are decoded while it is imported. The
network's part are the opened weights (``bundle``) and what they make of one picture (``engine``, ``forward``).
"""
