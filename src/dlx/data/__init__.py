"""Where batches come from: data sets and environments."""
