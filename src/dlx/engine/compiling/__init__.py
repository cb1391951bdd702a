"""Whole training steps as one compiled call."""
