"""How images that were made differ from real ones."""
