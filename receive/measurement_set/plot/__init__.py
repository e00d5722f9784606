"""``ms-plot``: draw a Measurement Set on one page."""
