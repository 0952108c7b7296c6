"""How a network is computed: fused, in oneDNN's weight layout, or compiled."""
