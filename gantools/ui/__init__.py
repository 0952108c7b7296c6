"""A page on the user's own computer for models and runs, on Gradio. It calls ``gantools.api`` and sends nothing out."""
