"""Recordings of speech, with classes or transcripts."""
