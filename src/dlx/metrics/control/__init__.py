"""How good a policy is in its environment."""
