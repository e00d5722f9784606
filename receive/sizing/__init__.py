"""How many receivers, cores, disks and ports a telescope takes, from costs that were measured.

`shape` does the arithmetic of bytes, heaps and packets; `costs` holds what `make sizing` measured
and fitted; `model` brings the two together; `telescopes` and `page` make the table of the
reference; `report` says it to people.
"""
