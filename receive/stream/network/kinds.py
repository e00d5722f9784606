"""The kinds of networks: the one place where `reception.transport` is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.stream.network.ibverbs_source import IbverbsSource
from receive.stream.network.source import Listening, Source
from receive.stream.network.tcp import TcpSource
from receive.stream.network.udp import UdpSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.config import Config

KINDS: dict[str, type[Source]] = {
    "udp": UdpSource,
    "tcp": TcpSource,
    "ibverbs": IbverbsSource,
}


def make_source(config: Config, ports: Sequence[int], dump_timeout_s: float) -> Source:
    """Return the source that a configuration asks for, not open yet.

    Parameters
    ----------
    config
        The configuration.
    ports
        One a stream.
    dump_timeout_s
        How long an incomplete integration waits.
    """
    reception = config.reception
    return KINDS[reception.transport](
        Listening(
            host=reception.bind_hostname,
            interface=reception.interface_address,
            ports=ports,
            buffer_bytes=reception.buffer_size,
            threads=reception.receiver_threads,
            max_packet_bytes=config.max_packet_size_bytes(),
            allowed=reception.sources,
            connect_timeout_s=reception.connect_timeout,
            dump_timeout_s=dump_timeout_s,
        )
    )
