"""Bytes of casacore's tiled storage: headers, tiles, and the loops that fill them."""
