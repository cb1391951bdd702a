"""Models of rows of numbers and categories."""
