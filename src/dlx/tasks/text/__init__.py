"""Tasks that answer with texts."""
