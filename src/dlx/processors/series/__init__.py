"""Time series: files of dated rows, the step between them, and what is known of the future."""
