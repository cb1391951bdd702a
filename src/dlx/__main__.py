"""Lets `python -m dlx` be `dlx`."""

from dlx.cli import main

main()
