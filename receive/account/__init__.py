"""The result of a run: heaps expected, received, missing and refused, and the sets closed."""
