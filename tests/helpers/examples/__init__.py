"""An example of every entry of every registry: an entry without one fails the contract tests, and so does one too many."""
