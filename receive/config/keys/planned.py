"""Keys of what is not in this version: accepted, but refused where a command must act on one.

One file serves every part of a system and later versions.  No view has them, so nothing is built
on them; the feature that brings one takes its declaration.
"""

from typing import Literal

from receive.config.keys.category import category, key
from receive.config.values import HIGHEST_PORT


@category
class SharedStore:
    """What the receiver will take for its shared store."""

    plasma_path: str = key(
        "/tmp/plasma",  # noqa: S108 (the documented default, which nothing is written to)
        "Where the shared store lives.",
    )


@category
class Vys:
    """Visibilities over RDMA; names and defaults are those of vysmaw 2.0."""

    fabric: Literal["auto", "verbs", "soft"] = key("auto", "How bytes move: RDMA, or UDP and TCP.")
    interface: str | None = key(
        None,
        "Network interface on which signals are received and sent.",
        default_doc="the first IPoIB or RoCE interface",
    )
    signal_multicast_address: str = key("224.0.0.100", "Multicast group of the signal messages.")
    soft_port: int = key(
        24100, "Port of the signal messages of the soft fabric.", minimum=1, maximum=HIGHEST_PORT
    )
    soft_signal_addresses: tuple[str, ...] = key(
        (), "Soft fabric: addresses that signals are sent to where multicast does not pass."
    )
    verify: Literal["once", "twice"] = key(
        "once", "READs of a spectrum's id that prove its values."
    )
    flagged: Literal["send", "omit"] = key(
        "send", "Whether a producer offers wholly flagged spectra."
    )
    header_size: int = key(
        64,
        "Header of a spectrum buffer; 32 with producers older than vysmaw 2.0.2.",
        unit="bytes",
        minimum=32,
        maximum=64,
    )
    bin: int | None = key(
        None,
        "The pulsar phase bin taken from spectra that hold several.",
        minimum=0,
        default_doc="none (several bins are refused)",
    )
    read_timeout: float = key(2.0, "A READ unanswered for so long has failed.", unit="s", minimum=0)
    spectrum_buffer_pool_size: int = key(
        10485760, "Memory of the pool of spectra.", unit="bytes", minimum=1
    )
    single_spectrum_buffer_pool: bool = key(True, "One pool for spectra of all sizes.")
    max_spectrum_buffer_size: int = key(
        8192, "Larger spectra come without values.", unit="bytes", minimum=1
    )
    spectrum_buffer_pool_min_idle_lifetime_sec: int = key(
        30, "An idle pool is kept at least so long.", unit="s", minimum=0
    )
    signal_message_receive_min_posted: int = key(4000, "Receives posted at the least.", minimum=1)
    signal_message_receive_max_posted: int = key(8000, "Receives posted at the most.", minimum=1)
    signal_message_pool_overhead_factor: int = key(
        2, "Signal buffers for each receive that is posted.", minimum=1
    )
    signal_message_receive_queue_underflow_level: int = key(
        100, "With fewer receives posted a message warns of underflow.", minimum=0
    )
    eager_connect: bool = key(True, "Connect to a producer at its first signal.")
    eager_connect_idle_sec: float = key(
        1.0, "Idle time after which eager connections are made.", unit="s", minimum=0
    )
    preconnect_backlog: bool = key(True, "Keep signals that come before the connection.")
    message_queue_alert_depth: int = key(4000, "Queued messages that cause an alert.", minimum=1)
    message_queue_alert_interval: int = key(10000, "Messages between two alerts.", minimum=1)
    max_starvation_latency: int = key(100, "Starved spectra told of in one message.", minimum=1)
    max_version_mismatch_latency: int = key(1000, "Mismatches told of in one message.", minimum=1)
    resolve_route_timeout_ms: int = key(
        1000, "Time-out of resolving a route.", unit="ms", minimum=1
    )
    resolve_addr_timeout_ms: int = key(
        1000, "Time-out of resolving an address.", unit="ms", minimum=1
    )
    inactive_server_timeout_sec: int = key(
        43200, "A producer silent for so long is disconnected.", unit="s", minimum=1
    )
    shutdown_check_interval_ms: int = key(
        1000, "How often shutdown is checked.", unit="ms", minimum=1
    )
    signal_receive_min_ack_part: int = key(
        10, "Part of the receives acknowledged at once.", minimum=1
    )
    rdma_read_max_posted: int = key(1000, "READs posted at the most.", minimum=1)
    rdma_read_min_ack: int = key(16, "READs acknowledged at once.", minimum=1)
