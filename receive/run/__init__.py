"""``emu-recv``: plans a run, checks its requirements, receives, exits with a meaningful code."""
