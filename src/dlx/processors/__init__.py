"""Raw examples to tensors and back; a processor travels in every checkpoint, so that predicting needs nothing else."""
