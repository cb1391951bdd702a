"""Saying how series go on."""
