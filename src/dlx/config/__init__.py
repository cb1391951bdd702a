"""A YAML file, what it extends and its overrides, to values that know where they were written; no torch."""
