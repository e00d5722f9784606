"""A real Kubernetes of two nodes on this machine, built from source, without a container engine.

The bed lives in a network namespace of its own, each of its nodes in a mount namespace of its
own, all its processes in control groups of its own: the host keeps its addresses, its packet
filter and its mounts, two beds do not meet, and what is left of a bed whose owner was killed can
be found and ended by exact ids.
"""
