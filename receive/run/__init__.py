"""``emu-recv``: plan a run, check what it needs, receive, end with a meaningful exit code."""
