"""Layers that a config can stack, by name, and blocks that two or more models use."""
