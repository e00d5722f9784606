"""What cannot go together in a configuration, as far as that can be told without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.config_values import HIGHEST_PORT, is_multicast, parse_endpoints
from receive.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from receive.config import Config

# Of an IPv4 packet's 65535 bytes its header takes 20, UDP's 8.
LARGEST_UDP_BYTES = 65507


def check_combinations(config: Config) -> None:
    """Refuse values that each are accepted, but not together.

    Raises
    ------
    ConfigError
        Names the keys, their values, and what would be accepted.
    """
    _check_share(config["reception"])
    _check_reception_transport(config["reception"])
    _check_transmission(config)
    num_ports = config["reception.num_ports"]
    if num_ports is not None:
        check_ports("reception.port_start", config["reception.port_start"], num_ports)


def check_ports(key: str, first: int, count: int) -> None:
    """Refuse a range of `count` ports that begins at `first`, the value of `key`, and is too long.

    Raises
    ------
    ConfigError
        The last port would be past 65535.
    """
    last = first + count - 1
    if last > HIGHEST_PORT:
        raise ConfigError(
            f"{key} {first} with {count} ports would end at {last}, past {HIGHEST_PORT}; "
            f"accepted: {key} up to {HIGHEST_PORT - count + 1}"
        )


def _check_share(reception: Mapping[str, int]) -> None:
    index, count = reception["process_index"], reception["process_count"]
    if index >= count:
        raise ConfigError(
            f"reception.process_index {index} with reception.process_count {count}: "
            f"accepted: 0 to {count - 1}"
        )


def _check_reception_transport(reception: Mapping[str, object]) -> None:
    transport, host = reception["transport"], reception["bind_hostname"]
    if transport == "tcp" and is_multicast(str(host)):
        raise ConfigError(
            f"reception.bind_hostname {host} is a multicast group, which "
            "reception.transport tcp cannot join; accepted: reception.transport udp"
        )
    if reception["backpressure"] and transport in {"udp", "ibverbs"}:
        raise ConfigError(
            f"reception.backpressure true with reception.transport {transport}: only TCP can "
            "make a sender wait; accepted: reception.transport tcp"
        )


def _check_transmission(config: Config) -> None:
    transmission = config["transmission"]
    transport = transmission["transport"]
    endpoints = parse_endpoints(transmission["endpoints"])
    key = "transmission.endpoints" if endpoints else "transmission.target_host"
    hosts = [host for host, _ in endpoints] or [transmission["target_host"]]
    group = next((host for host in hosts if is_multicast(host)), None)
    if transport == "tcp" and group is not None:
        raise ConfigError(
            f"{key} {group} is a multicast group, which transmission.transport tcp cannot "
            "reach; accepted: transmission.transport udp"
        )
    size = transmission["max_packet_size"]
    if transport != "tcp" and size is not None and size > LARGEST_UDP_BYTES:
        raise ConfigError(
            f"transmission.max_packet_size {size} with transmission.transport {transport}: "
            f"accepted: up to {LARGEST_UDP_BYTES}"
        )
