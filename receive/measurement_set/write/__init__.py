"""Create a Measurement Set, append to it, close it, mend it."""
