"""Schedules of the learning rate by name."""
