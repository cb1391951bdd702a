"""How often the right class is chosen, how surely, and where not."""
