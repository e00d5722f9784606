"""State shared by the network threads and the collector, and the compiled code that fills it."""
