"""Metrics of recognised speech."""
