"""``gantools project``: photos become styles of a model, from which it makes them again."""
