"""Heaps straight to the network card, to multicast groups."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import spead2.send.asyncio

from emulator.send.transmitter import Lane, Transmitter, lanes_of
from receive.command.errors import ConfigError, NetworkError
from receive.stream.network.ibverbs import FAILURES, SENDER, allow_locking, explain, require

if TYPE_CHECKING:
    from emulator.send.addresses import Target


class IbverbsTransmitter(Transmitter):
    """One lane for each network thread, each with its part of the streams."""

    # As over UDP: one lost end heap would leave a receiver waiting.
    end_rounds = 3

    async def _make_lanes(self) -> list[Lane]:
        for target in self.targets:
            _check_target(target)
        interface = self.settings.interface or ""
        require(SENDER, interface, spead2_side=spead2.send)
        lanes = lanes_of(len(self.targets), self.settings.threads)
        allow_locking(SENDER, self.settings.buffer_bytes * len(lanes))
        return [self._lane(streams, interface) for streams in lanes]

    def _lane(self, streams: range, interface: str) -> Lane:
        endpoints = [
            (self.targets[stream].address, self.targets[stream].port) for stream in streams
        ]
        settings = spead2.send.UdpIbvConfig(
            endpoints=endpoints,
            interface_address=interface,
            buffer_size=self.settings.buffer_bytes,
            ttl=self.settings.ttl,
        )
        try:
            stream = spead2.send.asyncio.UdpIbvStream(self._pool, self._config(streams), settings)
        except FAILURES as error:
            raise NetworkError(explain(error, SENDER, interface)) from error
        return Lane(stream, streams)


def _check_target(target: Target) -> None:
    if not target.is_multicast or target.family != socket.AF_INET:
        raise ConfigError(
            f"{target}: transmission.transport = ibverbs sends to IPv4 multicast groups "
            f"(224.0.0.0 to 239.255.255.255) only; accepted for other hosts: udp"
        )
