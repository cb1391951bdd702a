"""Recordings of speech: files to waves, waves to features."""
