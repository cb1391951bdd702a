"""Tasks on recordings of speech."""
