"""How fast training steps are on this computer, beside loops as one writes them by hand."""
