"""What became of a run: expected, received, missing, refused, closed."""
