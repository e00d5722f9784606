"""Number of receivers, cores, disks and ports that a telescope needs, from measured costs.

`shape` computes bytes, heaps and packets; `costs` holds the fit to the measurements of
`make sizing`; `model` combines the two; `telescopes` and `page` make the table of the reference;
`report` formats the result.
"""
