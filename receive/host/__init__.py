"""The machine: memory limit, TCP connections, and compiled code that is cached."""
