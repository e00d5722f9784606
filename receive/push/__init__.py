"""Pushes what a receiver wrote to where it is to stay, with rclone.

The image of this container has neither numpy nor casacore: nothing here may need them.
"""
