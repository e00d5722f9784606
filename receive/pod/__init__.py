"""Files through which the containers of a pod communicate: run folder, ready file, summary."""
