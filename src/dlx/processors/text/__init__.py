"""Texts to codes and back."""
