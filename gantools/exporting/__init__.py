"""Models out of gantools: weights of a run's newest checkpoint (``newest``), and files for other programs (``run``)."""
