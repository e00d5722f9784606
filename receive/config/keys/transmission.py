"""The keys of the sender: ``transmission.*``, ``reader.*`` and ``payload.*``."""

from typing import Literal

from receive.config.keys.category import category, key
from receive.config.keys.reception import MIB_BYTES, Transport
from receive.config.values import HIGHEST_PORT, parse_endpoint

HIGHEST_U4 = 2**32 - 1
HIGHEST_U8 = 2**64 - 1


@category
class Transmission:
    """The sender."""

    method: Literal["spead2", "vys"] = key(
        "spead2",
        "How visibilities are sent: SPEAD2 heaps, or spectra offered for reading by RDMA.",
        old_values={"spead2_transmitters": "spead2"},
        planned_values=("vys",),
    )
    transport: Transport = key(
        "udp", "What carries the heaps; see `reception.transport`.", planned_values=("inproc",)
    )
    target_host: str = key("127.0.0.1", "Name or address of the receiver, or a multicast group.")
    target_port_start: int = key(
        41000,
        "Port of the first stream; each further stream has the next port.",
        minimum=1,
        maximum=HIGHEST_PORT,
    )
    endpoints: tuple[str, ...] = key(
        (),
        "`host:p1-p2,host:p3`, one port a stream, instead of `transmission.target_host` and "
        "`transmission.target_port_start`.",
        check=parse_endpoint,
    )
    channels_per_stream: int = key(
        0,
        "Channels that a heap carries; the last stream takes what is left. The receiver reads "
        "it too.",
        minimum=0,
        default_doc="0 (all in one)",
    )
    channel_id_offset: int = key(
        0,
        "Added to the channel ids sent, which are the channel's number in the whole set.",
        minimum=0,
        maximum=HIGHEST_U4,
    )
    max_packet_size: int | None = key(
        None,
        "Largest packet, without the headers of IP and UDP or TCP.",
        unit="bytes",
        # 256 holds SPEAD's header and every item pointer of an interface's heap (8 + 20 x 8
        # bytes) and some data; a spead2 receiver takes at most 65536 over TCP.
        minimum=256,
        maximum=65536,
        default_doc="1472; TCP 65536",
    )
    repeat_pointers: bool = key(
        True, "Every packet says what its heap is, so that packets may come in any order."
    )
    rate: float = key(
        float(2**30),
        "Rate of all streams together; 0 flat out.",
        unit="bytes/s",
        minimum=0,
        default_doc="1 GiB/s",
    )
    time_interval: float = key(
        0.0,
        "Above 0 an integration every so many seconds, 0 as the data's own times, below 0 as "
        "fast as `transmission.rate` lets.",
        unit="s",
    )
    sender_threads: int = key(1, "Network threads of the sender.", minimum=1)
    buffer_size: int = key(
        8 * MIB_BYTES, "Socket buffer.", unit="bytes", minimum=1, default_doc="8 MiB"
    )
    scan_id: int = key(1, "Scan id that the heaps carry.", minimum=0, maximum=HIGHEST_U8)
    hardware_id: int = key(
        48879, "Hardware id that the heaps carry.", minimum=0, maximum=HIGHEST_U4
    )
    ttl: int = key(1, "Networks that multicast packets may cross.", minimum=0, maximum=255)


@category
class Reader:
    """What the sender reads of its Measurement Set."""

    start_chan: int = key(0, "First channel read; at or past the end is an error.", minimum=0)
    num_chan: int = key(
        0,
        "Channels read; clamped to what is there, with a warning.",
        minimum=0,
        default_doc="0 (all)",
    )
    spectral_window: str | None = key(
        None,
        "Number or name of the spectral window that is read.",
        default_doc="the first that can be sent",
    )
    field: str | None = key(
        None, "Number or name of the field that is read.", default_doc="the first that has rows"
    )
    column: str = key("DATA", "Column with the visibilities, such as `CORRECTED_DATA`.")
    num_timestamps: int = key(0, "Integrations read.", minimum=0, default_doc="0 (all)")
    num_repeats: int = key(
        1,
        "Send each integration's data so many times. Times go on by one interval each, so N "
        "integrations become N x num_repeats.",
        minimum=1,
    )
    repeat_same_time: bool = key(
        False,
        "Repeats carry the same time, as older senders do; a receiver counts them as duplicates.",
    )


@category
class Payload:
    """What heaps look like."""

    method: Literal["icd"] = key("icd", "What heaps look like: the interface of the correlator.")
