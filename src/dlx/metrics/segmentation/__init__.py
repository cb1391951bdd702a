"""Metrics of answers that give every pixel a class."""
