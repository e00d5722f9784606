"""Consumers of dumps: built-in ones, user classes, and the threads that run them."""

from receive.consumers.base import Consumer, ScanConsumer

__all__ = ["Consumer", "ScanConsumer"]
