"""From a data set to batches: order, worker processes, files that cannot be read."""
