"""Other people's weights: read without running their code, recognised, and written as ours."""
