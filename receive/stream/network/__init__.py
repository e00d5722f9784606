"""Packets in: sockets, SPEAD2 streams, whom they are taken from, what the kernel dropped."""
