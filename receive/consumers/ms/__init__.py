"""The consumer ``mswriter``: when sets begin and end, what they are called, failing disks."""
