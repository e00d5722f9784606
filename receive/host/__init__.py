"""The machine: memory, TCP connections, and the cache of compiled code."""
