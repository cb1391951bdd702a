"""Rows of named cells to tensors."""
