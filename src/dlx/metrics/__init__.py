"""Prediction and batch to numbers."""
