"""Optimizers by name, and which parameters they step."""
