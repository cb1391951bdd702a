"""What training batches of images are changed by, as whole tensors, each sample on its own."""
