"""Images from latent vectors: what is asked for, the vectors of seeds, the network, grids and walks."""
