"""``ms-concat``: one Measurement Set of pieces of an observation."""
