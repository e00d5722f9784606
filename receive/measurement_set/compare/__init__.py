"""``ms-diff``: compare two Measurement Sets."""
