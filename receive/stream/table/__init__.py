"""What network threads and the collector share, and the compiled code that fills it."""
