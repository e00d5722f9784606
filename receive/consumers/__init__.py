"""What happens to a dump: built-in consumers, user classes, and the threads that run them."""

from receive.consumers.base import Consumer, ScanConsumer

__all__ = ["Consumer", "ScanConsumer"]
