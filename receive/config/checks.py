"""What cannot go together in a configuration, as far as that can be told without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receive.command.errors import ConfigError
from receive.config.values import ANY, FIRST, HIGHEST_PORT, is_multicast

if TYPE_CHECKING:
    from receive.config import Config

# Of an IPv4 packet's 65535 bytes its header takes 20, UDP's 8.
LARGEST_UDP_BYTES = 65507


def check_combinations(config: Config) -> None:
    """Refuse values that each are accepted, but not together.

    Raises
    ------
    ConfigError
        Names the place, the keys, their values, and what would be accepted.
    """
    _check_share(config)
    _check_reception(config)
    _check_transmission(config)


def check_ports(config: Config, key: str, count: int) -> None:
    """Refuse `count` ports that begin at the one that is the value of `key`, if they are too many.

    Raises
    ------
    ConfigError
        The last port would be past 65535.
    """
    first: int = config[key]
    last = first + count - 1
    if last > HIGHEST_PORT:
        raise _refusal(
            config,
            (key,),
            f"{key} {first} with {count} ports would end at {last}, past {HIGHEST_PORT}; "
            f"accepted: up to {HIGHEST_PORT - count + 1}",
        )


def _check_share(config: Config) -> None:
    keys = ("reception.process_index", "reception.process_count")
    index, count = config.reception.process_index, config.reception.process_count
    if index >= count:
        raise _refusal(
            config,
            keys,
            f"reception.process_index {index} with reception.process_count {count}; "
            f"accepted: 0 to {count - 1}",
        )


def _check_reception(config: Config) -> None:
    transport, host = config.reception.transport, config.reception.bind_hostname
    if transport == "tcp" and is_multicast(host):
        raise _refusal(
            config,
            ("reception.bind_hostname", "reception.transport"),
            f"reception.bind_hostname {host} is a multicast group, which "
            "reception.transport tcp cannot join; accepted: reception.transport udp",
        )
    if config.reception.backpressure and transport in {"udp", "ibverbs"}:
        raise _refusal(
            config,
            ("reception.backpressure", "reception.transport"),
            f"reception.backpressure true with reception.transport {transport}: only TCP can "
            "make a sender wait; accepted: reception.transport tcp",
        )
    _check_sources(config)
    if transport == "ibverbs":
        _check_interface(config, "reception.transport")
        if config.reception.port_start == 0:
            raise _refusal(
                config,
                ("reception.port_start", "reception.transport"),
                "reception.port_start 0 with reception.transport ibverbs: the system cannot choose "
                f"ports of a network card; accepted: 1 to {HIGHEST_PORT}",
            )
    if config.reception.num_ports is not None:
        check_ports(config, "reception.port_start", config.reception.num_ports)


def _check_sources(config: Config) -> None:
    sources, transport = config.reception.sources, config.reception.transport
    word = next((source for source in sources if source in {ANY, FIRST}), None)
    if not sources or (word is not None and len(sources) > 1):
        raise _refusal(
            config,
            ("reception.sources",),
            f"reception.sources {','.join(sources) or 'is empty'}; accepted: any, or first, or "
            "addresses, host names and networks",
        )
    if transport == "ibverbs" and word != ANY:
        raise _refusal(
            config,
            ("reception.sources", "reception.transport"),
            f"reception.sources {','.join(sources)} with reception.transport ibverbs: what a "
            "network card delivers is not looked at for its source; accepted: any",
        )


def _check_transmission(config: Config) -> None:
    transport = config.transmission.transport
    if transport == "ibverbs":
        _check_interface(config, "transmission.transport")
    endpoints = config.endpoints()
    key = "transmission.endpoints" if endpoints else "transmission.target_host"
    hosts = [host for host, _ in endpoints] or [config.transmission.target_host]
    group = next((host for host in hosts if is_multicast(host)), None)
    if transport == "tcp" and group is not None:
        raise _refusal(
            config,
            (key, "transmission.transport"),
            f"{key} {group} is a multicast group, which transmission.transport tcp cannot "
            "reach; accepted: transmission.transport udp",
        )
    size = config.transmission.max_packet_size
    if transport != "tcp" and size is not None and size > LARGEST_UDP_BYTES:
        raise _refusal(
            config,
            ("transmission.max_packet_size", "transmission.transport"),
            f"transmission.max_packet_size {size} with transmission.transport {transport}; "
            f"accepted: up to {LARGEST_UDP_BYTES}",
        )


def _check_interface(config: Config, key: str) -> None:
    if config.reception.interface_address is None:
        raise _refusal(
            config,
            (key,),
            f"{key} ibverbs needs reception.interface_address, and there is none; accepted: the "
            "IPv4 address, or the name, of the network card's interface",
        )


def _refusal(config: Config, keys: tuple[str, ...], text: str) -> ConfigError:
    """Return the error that says where the first of `keys` that the user gave was given."""
    place = next((config.place_of(key) for key in keys if config.is_set(key)), "default")
    return ConfigError(f"{place}: {text}")
