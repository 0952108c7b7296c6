"""What the command line prints: results, messages, progress, tables."""
