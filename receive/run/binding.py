"""Binding what a receiver listens on, and deciding whom it listens to, as configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.stream.network.ibverbs import IbverbsPort, open_ibverbs
from receive.stream.network.senders import Senders
from receive.stream.network.sockets import Endpoint, open_sockets, resolve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from receive.config import Config
    from receive.stream.network.kernel_drops import KernelDrops
    from receive.stream.table.state import SharedState


def bind(
    config: Config,
    ports: Sequence[int],
    state: SharedState,
    dump_timeout_s: float,
    drops: KernelDrops,
    packets: Callable[[int], int],
) -> tuple[Sequence[socket.socket | IbverbsPort], Senders]:
    """Bind all ports, and let the kernel divide what comes to them by its source.

    Parameters
    ----------
    config
        The configuration.
    ports
        One a stream.
    state
        The shared arrays.
    dump_timeout_s
        How long an incomplete integration waits.
    drops
        Told whose drops to count.
    packets
        Returns how many packets a stream has received.

    Returns
    -------
    sockets, or ports of the card
        One a stream, to be closed by the caller.
    Senders
        Not started yet.

    Raises
    ------
    VisReceiveError
        If a port cannot be bound, or what comes to it cannot be divided as asked for.
    """
    reception = config["reception"]
    interface = reception["interface_address"]
    endpoint = Endpoint(
        resolve(reception["bind_hostname"], "reception.bind_hostname"),
        resolve(interface, "reception.interface_address") if interface else None,
    )
    timeout_s = reception["connect_timeout"]
    if reception["transport"] == "ibverbs":
        card = open_ibverbs(endpoint, list(ports), reception["buffer_size"])
        return card, Senders(reception["sources"], state, ports, packets, timeout_s)
    sockets = open_sockets(
        endpoint,
        list(ports),
        tcp=reception["transport"] == "tcp",
        buffer_bytes=reception["buffer_size"],
    )
    try:
        bound = [opened.getsockname()[1] for opened in sockets]
        senders = Senders(reception["sources"], state, bound, packets, timeout_s)
        senders.divide(sockets, endpoint, max(timeout_s, dump_timeout_s))
        if reception["transport"] == "udp" and not senders.changes_drops:
            drops.watch(sockets, senders.dropped)
    except BaseException:
        close_all(sockets)
        raise
    return sockets, senders


def close_all(sockets: Sequence[socket.socket | IbverbsPort]) -> None:
    """Close what was bound."""
    for opened in sockets:
        opened.close()
