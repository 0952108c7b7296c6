"""Networks that make images from a latent vector, each with its discriminator, one paper per file."""
