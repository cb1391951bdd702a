"""A spec to a plan to objects, and a checkpoint back to them: the only place where names become things."""
