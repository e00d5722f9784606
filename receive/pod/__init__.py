"""What the containers of one pod tell each other: run folder, ready file, summary."""
