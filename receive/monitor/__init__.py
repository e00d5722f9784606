"""The receiver's own HTTP port: is it alive, is it ready, how does it stand, and let it end."""
