"""From the network to dumps: byte layout, placement, sockets, the window of dumps, the ledger."""
