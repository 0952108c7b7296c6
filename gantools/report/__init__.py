"""A run as one HTML page: metrics over time, samples, settings, environment. No torch, no network."""
