"""Environments as sources of batches: rollouts of the present policy, and a memory of what was lived through."""
