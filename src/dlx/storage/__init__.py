"""Files: run directories, checkpoints, tensors to bytes, foreign weights."""
