"""The keys of vys, visibilities over RDMA; names and defaults are those of vysmaw 2.0."""

from __future__ import annotations

from receive.config.keys.key import Key, Kind
from receive.config.values import HIGHEST_PORT


def _count(name: str, default: int, doc: str, *, unit: str | None = None, minimum: int = 1) -> Key:
    return Key(
        name=f"vys.{name}",
        kind=Kind.INTEGER,
        default=default,
        unit=unit,
        minimum=minimum,
        planned=True,
        doc=doc,
    )


def _switch(name: str, doc: str, *, default: bool) -> Key:
    return Key(name=f"vys.{name}", kind=Kind.BOOLEAN, default=default, planned=True, doc=doc)


def _choice(name: str, choices: tuple[str, ...], doc: str) -> Key:
    """Return a key whose first choice is its default."""
    return Key(
        name=f"vys.{name}",
        kind=Kind.TEXT,
        default=choices[0],
        choices=choices,
        planned=True,
        doc=doc,
    )


KEYS = (
    _choice("fabric", ("auto", "verbs", "soft"), "How bytes move: RDMA, or UDP and TCP."),
    Key(
        name="vys.interface",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="the first IPoIB or RoCE interface",
        planned=True,
        doc="Network interface on which signals are received and sent.",
    ),
    Key(
        name="vys.signal_multicast_address",
        kind=Kind.TEXT,
        default="224.0.0.100",
        planned=True,
        doc="Multicast group of the signal messages.",
    ),
    Key(
        name="vys.soft_port",
        kind=Kind.INTEGER,
        default=24100,
        minimum=1,
        maximum=HIGHEST_PORT,
        planned=True,
        doc="Port of the signal messages of the soft fabric.",
    ),
    Key(
        name="vys.soft_signal_addresses",
        kind=Kind.LIST,
        default=(),
        default_doc="none",
        planned=True,
        doc="Soft fabric: addresses that signals are sent to where multicast does not pass.",
    ),
    _choice("verify", ("once", "twice"), "READs of a spectrum's id that prove its values."),
    _choice("flagged", ("send", "omit"), "Whether a producer offers wholly flagged spectra."),
    Key(
        name="vys.header_size",
        kind=Kind.INTEGER,
        default=64,
        unit="bytes",
        minimum=32,
        maximum=64,
        planned=True,
        doc="Header of a spectrum buffer; 32 with producers older than vysmaw 2.0.2.",
    ),
    Key(
        name="vys.bin",
        kind=Kind.INTEGER,
        default=None,
        nullable=True,
        minimum=0,
        default_doc="none (several bins are refused)",
        planned=True,
        doc="The pulsar phase bin taken from spectra that hold several.",
    ),
    Key(
        name="vys.read_timeout",
        kind=Kind.NUMBER,
        default=2.0,
        unit="s",
        minimum=0,
        planned=True,
        doc="A READ unanswered for so long has failed.",
    ),
    _count("spectrum_buffer_pool_size", 10485760, "Memory of the pool of spectra.", unit="bytes"),
    _switch("single_spectrum_buffer_pool", "One pool for spectra of all sizes.", default=True),
    _count("max_spectrum_buffer_size", 8192, "Larger spectra come without values.", unit="bytes"),
    _count(
        "spectrum_buffer_pool_min_idle_lifetime_sec",
        30,
        "An idle pool is kept at least so long.",
        unit="s",
        minimum=0,
    ),
    _count("signal_message_receive_min_posted", 4000, "Receives posted at the least."),
    _count("signal_message_receive_max_posted", 8000, "Receives posted at the most."),
    _count(
        "signal_message_pool_overhead_factor", 2, "Signal buffers for each receive that is posted."
    ),
    _count(
        "signal_message_receive_queue_underflow_level",
        100,
        "With fewer receives posted a message warns of underflow.",
        minimum=0,
    ),
    _switch("eager_connect", "Connect to a producer at its first signal.", default=True),
    Key(
        name="vys.eager_connect_idle_sec",
        kind=Kind.NUMBER,
        default=1.0,
        unit="s",
        minimum=0,
        planned=True,
        doc="Idle time after which eager connections are made.",
    ),
    _switch("preconnect_backlog", "Keep signals that come before the connection.", default=True),
    _count("message_queue_alert_depth", 4000, "Queued messages that cause an alert."),
    _count("message_queue_alert_interval", 10000, "Messages between two alerts."),
    _count("max_starvation_latency", 100, "Starved spectra told of in one message."),
    _count("max_version_mismatch_latency", 1000, "Mismatches told of in one message."),
    _count("resolve_route_timeout_ms", 1000, "Time-out of resolving a route.", unit="ms"),
    _count("resolve_addr_timeout_ms", 1000, "Time-out of resolving an address.", unit="ms"),
    _count(
        "inactive_server_timeout_sec",
        43200,
        "A producer silent for so long is disconnected.",
        unit="s",
    ),
    _count("shutdown_check_interval_ms", 1000, "How often shutdown is checked.", unit="ms"),
    _count("signal_receive_min_ack_part", 10, "Part of the receives acknowledged at once."),
    _count("rdma_read_max_posted", 1000, "READs posted at the most."),
    _count("rdma_read_min_ack", 16, "READs acknowledged at once."),
)
