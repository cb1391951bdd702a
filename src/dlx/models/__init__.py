"""Networks by name; they know no task and no data set."""
