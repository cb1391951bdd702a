"""The commands, one a file: what `dlx train` and its like do once the command line is read."""
