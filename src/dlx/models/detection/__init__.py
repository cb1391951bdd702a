"""Models that say where objects are."""
