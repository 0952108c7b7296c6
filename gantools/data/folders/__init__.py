"""What folders hold: photos, pairs or domains, found by name, and which split a file belongs to."""
