"""The two file formats: full training state to resume from, and self-describing weights to run."""
