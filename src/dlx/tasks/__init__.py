"""What to learn: batch to losses, batch to prediction."""
