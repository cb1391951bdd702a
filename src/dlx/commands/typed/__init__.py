"""The commands as they are typed: what each takes, and what becomes of what it gives."""
