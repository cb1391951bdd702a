"""Where numbers, pictures and progress go."""
