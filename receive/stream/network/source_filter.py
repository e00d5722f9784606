"""Who is taken, decided in the kernel: classic BPF programs on our own sockets, no privilege.

Two sockets have each port: the *main* one, which spead2 reads, and *others* beside it.  A program
on the pair sends each packet to the one or the other by its source; it is exchanged at once, and no
packet of a stranger ever lies in the main socket.  A group's packets go to all its sockets
instead, so there each of the two has a filter.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import NetworkError
from receive.host.peer import without_interface
from receive.stream.network.sockets import open_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.stream.network.sockets import Endpoint

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ATTACH_FILTER, _ATTACH_REUSEPORT_CBPF = 26, 51
# linux/filter.h: from here on an offset counts from the IP header.
_NET = 0xFFF00000
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_HALF_AT_X = 0x20, 0x28, 0x30, 0x48
_X_HEADER_LENGTH, _X_CONSTANT, _LOAD_MEMORY, _STORE = 0xB1, 0x01, 0x60, 0x02
_AND, _SHIFT_RIGHT, _JUMP, _IF_EQUAL, _IF_GREATER, _RETURN = 0x54, 0x74, 0x05, 0x15, 0x25, 0x06
_V4_SOURCE, _V6_SOURCE, _V6_HEADER_BYTES, _UDP_HEADER_BYTES = 12, 8, 40, 8
_ITEM_COUNT, _FIRST_POINTER = 6, 8
_ITEMS_OF_ANY = 4
"""Every SPEAD packet has these: number and length of the heap, offset and length of its part."""
_ADDRESS, _PORT = 0, 1
_WHOLE = 0xFFFFFFFF
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_CONTROL_ID = 0x8006
_POINTERS_LOOKED_AT = 24
_RANDOM = 0xFFFFF038
_TAX = 0x07
_IF_EQUAL_X = 0x1D
Instruction = tuple[int, int, int, int]


@dataclass(frozen=True)
class Rule:
    """Sources whose packets are taken.

    Attributes
    ----------
    network
        Their addresses.
    port
        Their port; None is any.
    heads_only
        Not the packets that say nothing but which part of a heap they are: they must not come
        before a packet that says what the heap is.
    """

    network: Network
    port: int | None = None
    heads_only: bool = False


@dataclass(frozen=True)
class Watch:
    """What is diverted of sources that no rule names, where everybody passes.

    Few packets, and none that another one must not overtake: parts of heaps behind the first, and
    heaps of one packet.

    Attributes
    ----------
    one_in
        Of so many of them, one by chance; 0 is none.
    controls
        Starts and ends of streams.
    """

    one_in: int = 0
    controls: bool = False


def unmapped(network: Network) -> Network:
    """Return a network as packets carry it: IPv4 also where a socket calls it IPv6."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        address = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))
    return network


def program(
    rules: Sequence[Rule], *, taken: int, rest: int, payload: int, watch: Watch | None = None
) -> bytes:
    """Return a program that returns `taken` for packets that a rule holds for, `rest` for others.

    Parameters
    ----------
    rules
        Whom to take.
    taken, rest
        What to return.
    payload
        Where the program finds the datagram's content: at 0 on a pair, at 8 on one socket.
    watch
        Return `rest` for these only; what is too short to tell is 0.
    """
    if not rules and watch == Watch():
        # No look at a packet costs as little as no second socket.
        return struct.pack("HBBI", _RETURN, 0, 0, taken)
    both: dict[int, list[Instruction]] = {4: [], 6: []}
    for rule in rules:
        both[rule.network.version] += _block(rule, taken, payload)
    ends: list[Instruction] = [(_RETURN, 0, 0, rest)]
    if watch is not None:
        ends = [*_watched(watch, taken, rest, payload), (_RETURN, 0, 0, taken)]
    v4 = [
        (_LOAD_WORD, 0, 0, _NET + _V4_SOURCE),
        (_STORE, 0, 0, _ADDRESS),
        (_X_HEADER_LENGTH, 0, 0, _NET),
        (_LOAD_HALF_AT_X, 0, 0, _NET),
        (_STORE, 0, 0, _PORT),
        *both[4],
        *ends,
    ]
    v6 = [
        (_X_CONSTANT, 0, 0, _V6_HEADER_BYTES),
        (_LOAD_HALF_AT_X, 0, 0, _NET),
        (_STORE, 0, 0, _PORT),
        *both[6],
        *ends,
    ]
    instructions = [
        (_LOAD_BYTE, 0, 0, _NET),
        (_SHIFT_RIGHT, 0, 0, 4),
        # Jumps on a condition reach 255 instructions.
        (_IF_EQUAL, 1, 0, 4),
        (_JUMP, 0, 0, len(v4)),
        *v4,
        *v6,
    ]
    return b"".join(struct.pack("HBBI", *one) for one in instructions)


def _block(rule: Rule, taken: int, payload: int) -> list[Instruction]:
    """Return what returns `taken` if a rule holds, and goes on behind it if not."""
    # Each test is what to load, and the jump that leaves the block unless it holds.
    tests: list[tuple[list[Instruction], int, int]] = []
    words = struct.unpack(
        f">{rule.network.max_prefixlen // 32}I", rule.network.network_address.packed
    )
    masks = struct.unpack(f">{len(words)}I", rule.network.netmask.packed)
    for number, (word, mask) in enumerate(zip(words, masks, strict=True)):
        if not mask:
            break
        load: list[Instruction] = [
            (_LOAD_MEMORY, 0, 0, _ADDRESS)
            if rule.network.version == 4  # noqa: PLR2004 -- IP version
            else (_LOAD_WORD, 0, 0, _NET + _V6_SOURCE + 4 * number)
        ]
        if mask != _WHOLE:
            load.append((_AND, 0, 0, mask))
        tests.append((load, _IF_EQUAL, word))
    if rule.port is not None:
        tests.append(([(_LOAD_MEMORY, 0, 0, _PORT)], _IF_EQUAL, rule.port))
    if rule.heads_only:
        count: Instruction = (_LOAD_HALF, 0, 0, payload + _ITEM_COUNT)
        tests.append(([count], _IF_GREATER, _ITEMS_OF_ANY))
    block: list[Instruction] = []
    after = 1
    for load, jump, value in reversed(tests):
        block = [*load, (jump, 0, after, value), *block]
        after += len(load) + 1
    return [*block, (_RETURN, 0, 0, taken)]


def _watched(watch: Watch, taken: int, rest: int, payload: int) -> list[Instruction]:
    """Return what returns `rest` for what is watched, and goes on behind it if not."""
    first = payload + _FIRST_POINTER
    found: list[Instruction] = []
    for number in range(_POINTERS_LOOKED_AT if watch != Watch() else 0):
        found += [
            (_LOAD_HALF, 0, 0, first + 8 * number),
            (_IF_EQUAL, 0, 1, _CONTROL_ID),
            (_RETURN, 0, 0, rest if watch.controls else taken),
        ]
    if not watch.one_in:
        return found
    # In the order in which everybody sends them.
    for number in range(_ITEMS_OF_ANY):
        left = 2 * (_ITEMS_OF_ANY - number - 1) + 9
        found.append((_LOAD_HALF, 0, 0, first + 8 * number))
        found.append((_IF_EQUAL, 0, left, 0x8001 + number))
    return [
        *found,
        (_LOAD_WORD, 0, 0, first + 8 * 2 + 4),
        (_IF_EQUAL, 0, 4, 0),
        (_LOAD_WORD, 0, 0, first + 8 * 3 + 4),
        (_TAX, 0, 0, 0),
        (_LOAD_WORD, 0, 0, first + 8 + 4),
        (_IF_EQUAL_X, 0, 3, 0),
        (_LOAD_WORD, 0, 0, _RANDOM),
        (_IF_GREATER, 1, 0, _WHOLE // watch.one_in),
        (_RETURN, 0, 0, rest),
    ]


def _attach(to: socket.socket, option: int, instructions: bytes) -> None:
    held = ctypes.create_string_buffer(instructions, len(instructions))
    request = struct.pack("HL", len(instructions) // 8, ctypes.addressof(held))
    to.setsockopt(socket.SOL_SOCKET, option, request)


class Divided:
    """A port whose packets go to one of two sockets.

    Parameters
    ----------
    main
        Its bound socket, UDP or TCP (listening).
    endpoint
        What it was bound to.
    buffer_bytes
        Room for what goes to the others.

    Raises
    ------
    OSError
        If the kernel will not have it.
    NetworkError
        If the second socket cannot be bound.
    """

    def __init__(self, main: socket.socket, endpoint: Endpoint, *, buffer_bytes: int) -> None:
        self.main = main
        self.is_multicast = endpoint.is_multicast
        self.others = self._beside(endpoint, buffer_bytes)
        self.others.setblocking(False)  # noqa: FBT003 -- the socket's own API

    def _beside(self, endpoint: Endpoint, buffer_bytes: int) -> socket.socket:
        if self.is_multicast:
            port = self.main.getsockname()[1]
            return open_sockets(endpoint, [port], tcp=False, buffer_bytes=buffer_bytes)[0]
        # Only now: until then no other program could have the port too.
        self.main.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        others = socket.socket(self.main.family, self.main.type)
        try:
            others.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            others.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if self.main.family == socket.AF_INET6:
                only = self.main.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                others.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            others.bind(self.main.getsockname())
            if self.main.type == socket.SOCK_STREAM:
                others.listen()
            self.take_all()
        except BaseException:
            others.close()
            raise
        return others

    def take(self, rules: Sequence[Rule]) -> None:
        """Let packets that a rule holds for go to the main socket from now on, no others."""
        if not self.is_multicast:
            self._divide(rules)
            return
        # In this order what comes between comes twice, and not never.
        self._filter(self.main, rules, taken=_WHOLE, rest=0)
        self._filter(self.others, rules, taken=0, rest=_WHOLE)

    def watch(self, rules: Sequence[Rule], watch: Watch) -> None:
        """Let everything go to the main socket from now on, but for what is watched.

        What is watched of a group goes to both.
        """
        if self.is_multicast:
            self._filter(self.others, rules, taken=0, rest=_WHOLE, watch=watch)
        else:
            self._divide(rules, watch)

    def take_all(self) -> None:
        """Let everything go to the main socket from now on."""
        self.watch((), Watch())

    def discard_waiting(self, at_most: int = 10_000) -> None:
        """Forget the packets that came to the main socket before anything was decided."""
        for _ in range(at_most):
            try:
                self.main.recv(1, socket.MSG_DONTWAIT)
            except OSError:
                return

    def close(self) -> None:
        """Close the second socket."""
        self.others.close()

    def _divide(self, rules: Sequence[Rule], watch: Watch | None = None) -> None:
        instructions = program(rules, taken=0, rest=1, payload=0, watch=watch)
        _attach(self.main, _ATTACH_REUSEPORT_CBPF, instructions)

    def _filter(
        self,
        to: socket.socket,
        rules: Sequence[Rule],
        *,
        taken: int,
        rest: int,
        watch: Watch | None = None,
    ) -> None:
        at = _UDP_HEADER_BYTES
        instructions = program(rules, taken=taken, rest=rest, payload=at, watch=watch)
        _attach(to, _ATTACH_FILTER, instructions)


def resolved(sources: Sequence[str], parsed: Sequence[Network | str]) -> list[Rule]:
    """Return the rules for configured sources, names resolved in both families.

    Parameters
    ----------
    sources, parsed
        What was configured, and what it means.

    Raises
    ------
    NetworkError
        If a name does not resolve.
    """
    networks: list[Network] = []
    for text, meant in zip(sources, parsed, strict=True):
        if not isinstance(meant, str):
            networks.append(unmapped(meant))
            continue
        try:
            found = socket.getaddrinfo(meant, None, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise NetworkError(
                f"reception.sources = {text}: neither an address or a network, nor a host name "
                f"that resolves"
            ) from error
        networks += [
            unmapped(ipaddress.ip_network(without_interface(str(one[4][0])))) for one in found
        ]
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    rules = [Rule(one) for one in ipaddress.collapse_addresses(v4)]
    return rules + [Rule(one) for one in ipaddress.collapse_addresses(v6)]
