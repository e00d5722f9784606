"""Benchmarks: each number is a ratio to a peer in the same run on the same machine."""
