"""Weights at hand: those that ship in this folder, those in ``$GANTOOLS_HOME``, the feature networks. No torch."""
