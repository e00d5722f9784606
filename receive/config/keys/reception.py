"""The keys of the receiver and its consumers: ``reception.*`` and ``consumer.*``."""

from __future__ import annotations

from receive.config.keys.key import Key, Kind
from receive.config.user_command import check_argument
from receive.config.values import HIGHEST_PORT, parse_source, parse_span

MIB_BYTES = 2**20
TRANSPORTS = ("udp", "tcp", "ibverbs", "inproc")

KEYS = (
    Key(
        name="reception.method",
        kind=Kind.TEXT,
        default="spead2",
        choices=("spead2", "vys"),
        old_values={"spead2_receivers": "spead2"},
        planned_values=("vys",),
        doc="How visibilities arrive: SPEAD2 heaps, or spectra read by RDMA.",
    ),
    Key(
        name="reception.transport",
        kind=Kind.TEXT,
        default="udp",
        choices=TRANSPORTS,
        planned_values=("inproc",),
        doc="What carries the heaps; multicast is `udp` with a group address; `ibverbs` takes UDP "
        "packets straight from an RDMA network card.",
    ),
    Key(
        name="reception.bind_hostname",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="all interfaces, IPv4 and IPv6",
        doc="Address, host name or interface to bind; a multicast group is joined. `0.0.0.0` is "
        "all interfaces by IPv4 alone.",
    ),
    Key(
        name="reception.interface_address",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        doc="Address or name of the interface for multicast; ibverbs, of receiver and sender, "
        "needs it.",
    ),
    Key(
        name="reception.sources",
        kind=Kind.LIST,
        default=("any",),
        default_doc="any",
        check=parse_source,
        doc="Whom the streams are taken from: addresses, host names and networks (`10.0.0.0/24`, "
        "`fd00::/64`); `first` locks each stream to the sender that brings its first valid heap, "
        "until the scan ends or that sender is silent (several boards may share a port or a "
        "group: then not); `any` takes what comes. What others send is not read, but counted, and "
        "reported.",
    ),
    Key(
        name="reception.connect_timeout",
        kind=Kind.NUMBER,
        default=5.0,
        unit="s",
        minimum=0,
        doc="TCP: a connection that has brought no heap for so long gives way to another one that "
        "waits, with a warning. With `first`, a sender that is silent for so long, and for "
        "`reception.dump_timeout`, loses its stream to the next one. 0: never for connections.",
    ),
    Key(
        name="reception.port_start",
        kind=Kind.INTEGER,
        default=41000,
        minimum=0,
        maximum=HIGHEST_PORT,
        old_names=("reception.receiver_port_start",),
        doc="Port of this receiver's first stream; each further stream has the next port. 0 lets "
        "the system choose; the ready line and `--ready-file` tell which.",
    ),
    Key(
        name="reception.num_ports",
        kind=Kind.INTEGER,
        default=None,
        nullable=True,
        minimum=1,
        maximum=HIGHEST_PORT,
        default_doc="from channels",
        doc="Ports to bind; must agree with channels / `transmission.channels_per_stream` when "
        "both are given.",
    ),
    Key(
        name="reception.ring_heaps",
        kind=Kind.INTEGER,
        default=16,
        minimum=1,
        doc="Integrations in flight in the window; `reception.buffer_memory` can make it smaller, "
        "with a warning.",
    ),
    Key(
        name="reception.receiver_threads",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        default_doc="0 (one a stream)",
        doc="Network threads; fewer than the streams is an error where it would stop the receiver.",
    ),
    Key(
        name="reception.dump_timeout",
        kind=Kind.NUMBER,
        default=0.0,
        unit="s",
        minimum=0,
        default_doc="0 (3 intervals, at least 1 s)",
        doc="An integration that has waited so long for its missing heaps is handed on without "
        "them.",
    ),
    Key(
        name="reception.backpressure",
        kind=Kind.BOOLEAN,
        default=False,
        doc="TCP: make the sender wait instead of dropping what the consumer cannot take.",
    ),
    Key(
        name="reception.unknown_times",
        kind=Kind.TEXT,
        default="compute",
        choices=("compute", "reject"),
        doc="Integrations at times that the model does not hold: compute their UVW, or reject "
        "them.",
    ),
    Key(
        name="reception.fd_zero",
        kind=Kind.TEXT,
        default="auto",
        choices=("auto", "flag", "ignore"),
        doc="FD = 0 means that nothing was correlated: `flag`; `ignore` for senders that never "
        "fill FD in; `auto` ignores it, with one warning, in a heap where all of FD is 0 and the "
        "data are not, unless the set has had an FD that was not 0: then its sender fills it in.",
    ),
    Key(
        name="reception.buffer_size",
        kind=Kind.INTEGER,
        default=8 * MIB_BYTES,
        unit="bytes",
        minimum=1,
        default_doc="8 MiB",
        doc="Socket buffer of each stream, or the card's with ibverbs; a warning says how to raise "
        "the kernel's limit when it gives less.",
    ),
    Key(
        name="reception.buffer_memory",
        kind=Kind.INTEGER,
        default=None,
        nullable=True,
        unit="bytes",
        minimum=1,
        default_doc="25 % of the memory limit, divided by `--processes`",
        doc="Memory for dumps in flight, a hard bound: pool = buffer_memory / dump size, window = "
        "min(`reception.ring_heaps`, pool - 2); a pool under 4 dumps is an error that says how "
        "much it takes.",
    ),
    Key(
        name="reception.datamodel",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        doc="Measurement Set with the observation's metadata.",
    ),
    Key(
        name="reception.spectral_window",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="the first that can be received",
        doc="Number or name of the data model's spectral window that is received.",
    ),
    Key(
        name="reception.field",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="the first that has rows",
        doc="Number or name of the data model's field that is received.",
    ),
    Key(
        name="reception.outputfilename",
        kind=Kind.TEXT,
        default="recv-vis.ms",
        doc="What to write; with several scans, receivers or rotations a suffix is put before the "
        "extension.",
    ),
    Key(
        name="reception.overwrite",
        kind=Kind.BOOLEAN,
        default=False,
        doc="Whether an existing output may be replaced; it is refused unless true.",
    ),
    Key(
        name="reception.consumer",
        kind=Kind.LIST,
        default=("mswriter",),
        old_values={"spead2_mswriter": "mswriter"},
        doc="What takes the integrations: built-in names (`mswriter`, `null`), entry point names, "
        "or `package.module.Class`; several run side by side.",
    ),
    Key(
        name="reception.plasma_path",
        kind=Kind.TEXT,
        default="/tmp/plasma",  # noqa: S108 (the documented default, which nothing is written to)
        planned=True,
        doc="Where the shared store lives.",
    ),
    Key(
        name="reception.idle_timeout",
        kind=Kind.NUMBER,
        default=0.0,
        unit="s",
        minimum=0,
        default_doc="0 (never)",
        doc="Stop after so long without a heap.",
    ),
    Key(
        name="reception.max_dumps",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        default_doc="0 (all)",
        doc="Stop after so many integrations.",
    ),
    Key(
        name="reception.max_scans",
        kind=Kind.INTEGER,
        default=1,
        minimum=0,
        doc="Stop after so many scans (a new scan id, or a sender that starts again); 0 goes on "
        "until told to stop.",
    ),
    Key(
        name="reception.telescope",
        kind=Kind.TEXT,
        default="low",
        choices=("low", "mid"),
        doc="Item set of the heaps; the sender follows it too.",
    ),
    Key(
        name="reception.channels",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="all",
        check=parse_span,
        doc="`start:count` of the model's channels that this receiver takes; must fall on stream "
        "borders.",
    ),
    Key(
        name="reception.process_index",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        doc="This is receiver i of n: it takes its share of the streams, whole streams each, and "
        "the ports that belong to them. `--processes` gives it to each of several on one machine.",
    ),
    Key(
        name="reception.process_count",
        kind=Kind.INTEGER,
        default=1,
        minimum=1,
        doc="How many receivers share the streams.",
    ),
    Key(
        name="consumer.max_dumps_per_ms",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        default_doc="0 (no limit)",
        doc="Close the set after so many integrations and begin another, `-p2` after `-p1`.",
    ),
    Key(
        name="consumer.max_bytes_per_ms",
        kind=Kind.INTEGER,
        default=0,
        unit="bytes",
        minimum=0,
        default_doc="0 (no limit)",
        doc="Close the set before another integration would make it larger, subtables included, "
        "and begin another, `-p2` after `-p1`.",
    ),
    Key(
        name="consumer.retry",
        kind=Kind.NUMBER,
        default=0.0,
        unit="s",
        minimum=0,
        default_doc="0 (until told otherwise)",
        doc="How long a consumer tries again when its disk takes nothing. What it could not write "
        "is counted, and flagged in what follows; after this time the consumer has failed.",
    ),
    Key(
        name="consumer.direct_io",
        kind=Kind.BOOLEAN,
        default=True,
        doc="Write large pieces past the kernel's cache where that is fast: on ext4 and xfs, and "
        "while the disk takes more than 250 MB/s.",
    ),
    Key(
        name="consumer.command",
        kind=Kind.COMMAND,
        default=(),
        default_doc="none",
        secret="command",  # noqa: S106 (what is masked, not a password)
        check=check_argument,
        doc="Run for each closed set: a list of arguments in which `{path}` is the set. No shell; "
        "in the background, two at a time. One that fails makes the exit code 8. "
        "`secret:NAME=VALUE` and `secret_file:NAME=FILE` among them are no arguments, but "
        "variables of its environment that are shown nowhere.",
    ),
    Key(
        name="consumer.command_timeout",
        kind=Kind.NUMBER,
        default=3600.0,
        unit="s",
        minimum=0,
        default_doc="3600 (an hour)",
        doc="A command that takes longer than this is ended (SIGTERM, SIGKILL 5 s later) and has "
        "failed; 0 is never. At its end the receiver waits for commands until a further "
        "signal ends them.",
    ),
)
