"""What is seen in an environment, and what is done there, between people and models."""
