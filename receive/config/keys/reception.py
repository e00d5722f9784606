"""The keys of the receiver and its consumers: ``reception.*`` and ``consumer.*``."""

from typing import Literal

from receive.config.keys.category import category, key
from receive.config.keys.key import Kind
from receive.config.user_command import check_argument
from receive.config.values import HIGHEST_PORT, parse_source, parse_span

MIB_BYTES = 2**20
Transport = Literal["udp", "tcp", "ibverbs", "inproc"]


@category
class Reception:
    """The receiver."""

    method: Literal["spead2", "vys"] = key(
        "spead2",
        "How visibilities arrive: SPEAD2 heaps, or spectra read by RDMA.",
        old_values={"spead2_receivers": "spead2"},
        planned_values=("vys",),
    )
    transport: Transport = key(
        "udp",
        "What carries the heaps; multicast is `udp` with a group address; `ibverbs` takes UDP "
        "packets straight from an RDMA network card.",
        planned_values=("inproc",),
    )
    bind_hostname: str | None = key(
        None,
        "Address, host name or interface to bind; a multicast group is joined. `0.0.0.0` is "
        "all interfaces by IPv4 alone.",
        default_doc="all interfaces, IPv4 and IPv6",
    )
    interface_address: str | None = key(
        None,
        "Address or name of the interface for multicast; ibverbs, of receiver and sender, "
        "needs it.",
    )
    sources: tuple[str, ...] = key(
        ("any",),
        "Whom the streams are taken from: addresses, host names and networks (`10.0.0.0/24`, "
        "`fd00::/64`); `first` locks each stream to the sender that brings its first valid heap, "
        "until the scan ends or that sender is silent (several boards may share a port or a "
        "group: then not); `any` takes what comes. What others send is not read, but counted, and "
        "reported.",
        default_doc="any",
        check=parse_source,
    )
    connect_timeout: float = key(
        5.0,
        "TCP: a connection that has brought no heap for so long gives way to another one that "
        "waits, with a warning. With `first`, a sender that is silent for so long, and for "
        "`reception.dump_timeout`, loses its stream to the next one. 0: never for connections.",
        unit="s",
        minimum=0,
    )
    port_start: int = key(
        41000,
        "Port of this receiver's first stream; each further stream has the next port. 0 lets "
        "the system choose; the ready line and `--ready-file` tell which.",
        minimum=0,
        maximum=HIGHEST_PORT,
        old_names=("reception.receiver_port_start",),
    )
    num_ports: int | None = key(
        None,
        "Ports to bind; must agree with channels / `transmission.channels_per_stream` when "
        "both are given.",
        minimum=1,
        maximum=HIGHEST_PORT,
        default_doc="from channels",
    )
    ring_heaps: int = key(
        16,
        "Integrations in flight in the window; `reception.buffer_memory` can make it smaller, "
        "with a warning.",
        minimum=1,
    )
    receiver_threads: int = key(
        0,
        "Network threads; fewer than the streams is an error where it would stop the receiver.",
        minimum=0,
        default_doc="0 (one a stream)",
    )
    dump_timeout: float = key(
        0.0,
        "An integration that has waited so long for its missing heaps is handed on without them.",
        unit="s",
        minimum=0,
        default_doc="0 (3 intervals, at least 1 s)",
    )
    backpressure: bool = key(
        False, "TCP: make the sender wait instead of dropping what the consumer cannot take."
    )
    unknown_times: Literal["compute", "reject"] = key(
        "compute",
        "Integrations at times that the model does not hold: compute their UVW, or reject them.",
    )
    fd_zero: Literal["auto", "flag", "ignore"] = key(
        "auto",
        "FD = 0 means that nothing was correlated: `flag`; `ignore` for senders that never "
        "fill FD in; `auto` ignores it, with one warning, in a heap where all of FD is 0 and the "
        "data are not, unless the set has had an FD that was not 0: then its sender fills it in.",
    )
    buffer_size: int = key(
        8 * MIB_BYTES,
        "Socket buffer of each stream, or the card's with ibverbs; a warning says how to raise "
        "the kernel's limit when it gives less.",
        unit="bytes",
        minimum=1,
        default_doc="8 MiB",
    )
    buffer_memory: int | None = key(
        None,
        "Memory for dumps in flight, a hard bound: pool = buffer_memory / dump size, window = "
        "min(`reception.ring_heaps`, pool - 2); a pool under 4 dumps is an error that says how "
        "much it takes.",
        unit="bytes",
        minimum=1,
        default_doc="25 % of the memory limit, divided by `--processes`",
    )
    datamodel: str | None = key(None, "Measurement Set with the observation's metadata.")
    spectral_window: str | None = key(
        None,
        "Number or name of the data model's spectral window that is received.",
        default_doc="the first that can be received",
    )
    field: str | None = key(
        None,
        "Number or name of the data model's field that is received.",
        default_doc="the first that has rows",
    )
    outputfilename: str = key(
        "recv-vis.ms",
        "What to write; with several scans, receivers or rotations a suffix is put before the "
        "extension.",
    )
    overwrite: bool = key(
        False, "Whether an existing output may be replaced; it is refused unless true."
    )
    consumer: tuple[str, ...] = key(
        ("mswriter",),
        "What takes the integrations: built-in names (`mswriter`, `null`), entry point names, "
        "or `package.module.Class`; several run side by side.",
        old_values={"spead2_mswriter": "mswriter"},
    )
    idle_timeout: float = key(
        0.0, "Stop after so long without a heap.", unit="s", minimum=0, default_doc="0 (never)"
    )
    max_dumps: int = key(0, "Stop after so many integrations.", minimum=0, default_doc="0 (all)")
    max_scans: int = key(
        1,
        "Stop after so many scans (a new scan id, or a sender that starts again); 0 goes on "
        "until told to stop.",
        minimum=0,
    )
    telescope: Literal["low", "mid"] = key(
        "low", "Item set of the heaps; the sender follows it too."
    )
    channels: str | None = key(
        None,
        "`start:count` of the model's channels that this receiver takes; must fall on stream "
        "borders.",
        default_doc="all",
        check=parse_span,
    )
    process_index: int = key(
        0,
        "This is receiver i of n: it takes its share of the streams, whole streams each, and "
        "the ports that belong to them. `--processes` gives it to each of several on one machine.",
        minimum=0,
    )
    process_count: int = key(1, "How many receivers share the streams.", minimum=1)


@category
class Consumer:
    """What happens to integrations."""

    max_dumps_per_ms: int = key(
        0,
        "Close the set after so many integrations and begin another, `-p2` after `-p1`.",
        minimum=0,
        default_doc="0 (no limit)",
    )
    max_bytes_per_ms: int = key(
        0,
        "Close the set before another integration would make it larger, subtables included, "
        "and begin another, `-p2` after `-p1`.",
        unit="bytes",
        minimum=0,
        default_doc="0 (no limit)",
    )
    retry: float = key(
        0.0,
        "How long a consumer tries again when its disk takes nothing. What it could not write "
        "is counted, and flagged in what follows; after this time the consumer has failed.",
        unit="s",
        minimum=0,
        default_doc="0 (until told otherwise)",
    )
    direct_io: bool = key(
        True,
        "Write large pieces past the kernel's cache where that is fast: on ext4 and xfs, and "
        "while the disk takes more than 250 MB/s.",
    )
    command: tuple[str, ...] = key(
        (),
        "Run for each closed set: a list of arguments in which `{path}` is the set. No shell; "
        "in the background, two at a time. One that fails makes the exit code 8. "
        "`secret:NAME=VALUE` and `secret_file:NAME=FILE` among them are no arguments, but "
        "variables of its environment that are shown nowhere.",
        kind=Kind.COMMAND,
        secret="command",  # noqa: S106 (what is masked, not a password)
        check=check_argument,
    )
    command_timeout: float = key(
        3600.0,
        "A command that takes longer than this is ended (SIGTERM, SIGKILL 5 s later) and has "
        "failed; 0 is never. At its end the receiver waits for commands until a further "
        "signal ends them.",
        unit="s",
        minimum=0,
        default_doc="3600 (an hour)",
    )
