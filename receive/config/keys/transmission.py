"""The keys of the sender: ``transmission.*``, ``reader.*`` and ``payload.*``."""

from __future__ import annotations

from receive.config.keys.key import Key, Kind
from receive.config.keys.reception import MIB_BYTES, TRANSPORTS
from receive.config.values import HIGHEST_PORT, parse_endpoint

HIGHEST_U4 = 2**32 - 1
HIGHEST_U8 = 2**64 - 1

KEYS = (
    Key(
        name="transmission.method",
        kind=Kind.TEXT,
        default="spead2",
        choices=("spead2", "vys"),
        old_values={"spead2_transmitters": "spead2"},
        planned_values=("vys",),
        doc="How visibilities are sent: SPEAD2 heaps, or spectra offered for reading by RDMA.",
    ),
    Key(
        name="transmission.transport",
        kind=Kind.TEXT,
        default="udp",
        choices=TRANSPORTS,
        planned_values=("inproc",),
        doc="What carries the heaps; see `reception.transport`.",
    ),
    Key(
        name="transmission.target_host",
        kind=Kind.TEXT,
        default="127.0.0.1",
        doc="Name or address of the receiver, or a multicast group.",
    ),
    Key(
        name="transmission.target_port_start",
        kind=Kind.INTEGER,
        default=41000,
        minimum=1,
        maximum=HIGHEST_PORT,
        doc="Port of the first stream; each further stream has the next port.",
    ),
    Key(
        name="transmission.endpoints",
        kind=Kind.LIST,
        default=(),
        default_doc="none",
        check=parse_endpoint,
        doc="`host:p1-p2,host:p3`, one port a stream, instead of `transmission.target_host` and "
        "`transmission.target_port_start`.",
    ),
    Key(
        name="transmission.channels_per_stream",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        default_doc="0 (all in one)",
        doc="Channels that a heap carries; the last stream takes what is left. The receiver reads "
        "it too.",
    ),
    Key(
        name="transmission.channel_id_offset",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        maximum=HIGHEST_U4,
        doc="Added to the channel ids sent, which are the channel's number in the whole set.",
    ),
    Key(
        name="transmission.max_packet_size",
        kind=Kind.INTEGER,
        default=None,
        nullable=True,
        unit="bytes",
        # 256 holds SPEAD's header and every item pointer of an interface's heap (8 + 20 x 8
        # bytes) and some data; a spead2 receiver takes at most 65536 over TCP.
        minimum=256,
        maximum=65536,
        default_doc="1472; TCP 65536",
        doc="Largest packet, without the headers of IP and UDP or TCP.",
    ),
    Key(
        name="transmission.repeat_pointers",
        kind=Kind.BOOLEAN,
        default=True,
        doc="Every packet says what its heap is, so that packets may come in any order.",
    ),
    Key(
        name="transmission.rate",
        kind=Kind.NUMBER,
        default=float(2**30),
        unit="bytes/s",
        minimum=0,
        default_doc="1 GiB/s",
        doc="Rate of all streams together; 0 flat out.",
    ),
    Key(
        name="transmission.time_interval",
        kind=Kind.NUMBER,
        default=0.0,
        unit="s",
        doc="Above 0 an integration every so many seconds, 0 as the data's own times, below 0 as "
        "fast as `transmission.rate` lets.",
    ),
    Key(
        name="transmission.sender_threads",
        kind=Kind.INTEGER,
        default=1,
        minimum=1,
        doc="Network threads of the sender.",
    ),
    Key(
        name="transmission.buffer_size",
        kind=Kind.INTEGER,
        default=8 * MIB_BYTES,
        unit="bytes",
        minimum=1,
        default_doc="8 MiB",
        doc="Socket buffer.",
    ),
    Key(
        name="transmission.scan_id",
        kind=Kind.INTEGER,
        default=1,
        minimum=0,
        maximum=HIGHEST_U8,
        doc="Scan id that the heaps carry.",
    ),
    Key(
        name="transmission.hardware_id",
        kind=Kind.INTEGER,
        default=48879,
        minimum=0,
        maximum=HIGHEST_U4,
        doc="Hardware id that the heaps carry.",
    ),
    Key(
        name="transmission.ttl",
        kind=Kind.INTEGER,
        default=1,
        minimum=0,
        maximum=255,
        doc="Networks that multicast packets may cross.",
    ),
    Key(
        name="reader.start_chan",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        doc="First channel read; at or past the end is an error.",
    ),
    Key(
        name="reader.num_chan",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        default_doc="0 (all)",
        doc="Channels read; clamped to what is there, with a warning.",
    ),
    Key(
        name="reader.spectral_window",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="the first that can be sent",
        doc="Number or name of the spectral window that is read.",
    ),
    Key(
        name="reader.field",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="the first that has rows",
        doc="Number or name of the field that is read.",
    ),
    Key(
        name="reader.column",
        kind=Kind.TEXT,
        default="DATA",
        doc="Column with the visibilities, such as `CORRECTED_DATA`.",
    ),
    Key(
        name="reader.num_timestamps",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        default_doc="0 (all)",
        doc="Integrations read.",
    ),
    Key(
        name="reader.num_repeats",
        kind=Kind.INTEGER,
        default=1,
        minimum=1,
        doc="Send each integration's data so many times. Times go on by one interval each, so N "
        "integrations become N x num_repeats.",
    ),
    Key(
        name="reader.repeat_same_time",
        kind=Kind.BOOLEAN,
        default=False,
        doc="Repeats carry the same time, as older senders do; a receiver counts them as "
        "duplicates.",
    ),
    Key(
        name="payload.method",
        kind=Kind.TEXT,
        default="icd",
        choices=("icd",),
        doc="What heaps look like: the interface of the correlator.",
    ),
)
