"""How good a model is: its images beside simple baselines, measured by named metrics.

:mod:`~gantools.evaluation.evaluate` measures one model or two folders, :mod:`~gantools.evaluation.compare` shows
several models side by side; both give a :mod:`~gantools.evaluation.result`.
"""
