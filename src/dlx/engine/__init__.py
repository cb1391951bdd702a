"""The loop, one step, evaluation, and what they need; it knows no task, model or data set by name."""
