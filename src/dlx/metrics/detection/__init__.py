"""Metrics of answers that say where objects are."""
