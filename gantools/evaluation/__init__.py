"""How good a model is: pictures that it makes, beside what needs no model, measured by named metrics.

:mod:`~gantools.evaluation.examples` gives the pictures, :mod:`~gantools.evaluation.measuring` the figures,
:mod:`~gantools.evaluation.result` what is told of them; :mod:`~gantools.evaluation.limits` holds figures to limits.
"""
