"""Heaps over UDP, to one receiver each or to multicast groups."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

import spead2.send.asyncio

from emulator.send.transmitter import Lane, Transmitter, lanes_of
from receive.command.errors import NetworkError
from receive.stream.network.sockets import interface_index

if TYPE_CHECKING:
    from emulator.send.addresses import Target


class UdpTransmitter(Transmitter):
    """One lane for each network thread, each with its part of the streams."""

    # One lost end heap would leave a receiver waiting for a stream that has ended.
    end_rounds = 3

    async def _make_lanes(self) -> list[Lane]:
        for target in {t.address: t for t in self.targets}.values():
            self._check_route(target)
        lanes = lanes_of(len(self.targets), self.settings.threads)
        return [self._lane(streams) for streams in lanes]

    def _lane(self, streams: range) -> Lane:
        opened = self._open(self.targets[streams[0]])
        self._sockets.append(opened)
        endpoints = [
            (self.targets[stream].address, self.targets[stream].port) for stream in streams
        ]
        stream = spead2.send.asyncio.UdpStream(self._pool, opened, endpoints, self._config(streams))
        return Lane(stream, streams)

    def _open(self, target: Target) -> socket.socket:
        opened = socket.socket(target.family, socket.SOCK_DGRAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.settings.buffer_bytes)
            self._set_multicast(opened, target.family)
        except BaseException:
            opened.close()
            raise
        return opened

    def _set_multicast(self, opened: socket.socket, family: socket.AddressFamily) -> None:
        """Set how far and by which interface packets to groups go; others are not affected."""
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, self.settings.ttl)
        else:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self.settings.ttl)
        if self.settings.interface is None or not any(t.is_multicast for t in self.targets):
            return
        if family == socket.AF_INET6:
            index = interface_index(self.settings.interface)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            return
        try:
            if ":" in self.settings.interface:
                # An interface that has IPv6 addresses only: struct ip_mreqn with its number.
                request = struct.pack("@8xi", interface_index(self.settings.interface))
            else:
                request = socket.inet_aton(self.settings.interface)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        except OSError as error:
            raise NetworkError(
                f"multicast cannot leave by {self.settings.interface} "
                f"(reception.interface_address): {error.strerror or error}"
            ) from None

    def _check_route(self, target: Target) -> None:
        """Refuse a target that there is no way to: connecting asks the kernel, sends nothing."""
        with self._open(target) as probe:
            try:
                probe.connect(target.name)
            except OSError as error:
                hint = ""
                if target.is_multicast and error.errno in {errno.ENETUNREACH, errno.ENODEV}:
                    hint = "; give an address of this machine as reception.interface_address"
                raise NetworkError(
                    f"{target} cannot be reached: {error.strerror or error}{hint}"
                ) from None
