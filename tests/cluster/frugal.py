"""Values for many releases side by side."""

from __future__ import annotations

# More pods than a small node has CPUs for run at once: each asks for little.
FRUGAL = {
    f"{container}.requests.cpu": "10m"
    for container in ("resources", "modelResources", "senderResources", "pushResources")
} | {
    "transmission.time_interval": 0.05,
}
