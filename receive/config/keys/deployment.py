"""The keys of what surrounds a receiver in a cluster: model, results, proxy, monitor."""

from __future__ import annotations

from receive.config.keys.key import Key, Kind
from receive.config.values import HIGHEST_PORT, parse_host, parse_sha256

KEYS = (
    Key(
        name="model.pull",
        kind=Kind.BOOLEAN,
        default=True,
        in_charts=True,
        doc="Fetch the telescope model.",
    ),
    Key(
        name="model.url",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="a small sample observation in the image",
        secret="userinfo",  # noqa: S106 (what is masked, not a password)
        doc="Its archive: `http(s)`, `file`, or a path in the image; `.tar.gz`, `.tar.xz`, `.zip`.",
    ),
    Key(
        name="model.sha256",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        check=parse_sha256,
        doc="Checksum of the archive, checked when given.",
    ),
    Key(
        name="model.name",
        kind=Kind.TEXT,
        default="sim-vis.ms",
        doc="The Measurement Set's name in the archive.",
    ),
    Key(
        name="transmit.model",
        kind=Kind.BOOLEAN,
        default=True,
        in_charts=True,
        doc="Start a sender in the pod.",
    ),
    Key(
        name="results.push",
        kind=Kind.BOOLEAN,
        default=False,
        in_charts=True,
        doc="Run the push container.",
    ),
    Key(
        name="results.push_partial",
        kind=Kind.BOOLEAN,
        default=False,
        doc="Push also what a stopped or crashed receiver left.",
    ),
    Key(
        name="results.start_timeout",
        kind=Kind.NUMBER,
        default=300.0,
        unit="s",
        minimum=0,
        doc="Push gives up when the receiver has not started by then.",
    ),
    Key(
        name="results.retries",
        kind=Kind.INTEGER,
        default=5,
        minimum=0,
        doc="How often a push is tried again, with backoff.",
    ),
    Key(
        name="rclone.configurl",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        secret=True,
        doc="URL of an rclone.conf; such a URL is a credential: it is kept in a Secret and never "
        "logged.",
    ),
    Key(
        name="rclone.secret",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        in_charts=True,
        doc="Name of a Secret that holds rclone.conf instead.",
    ),
    Key(
        name="rclone.command",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        secret="destination",  # noqa: S106 (what is masked, not a password)
        doc="Destination, `remote:path`. Parameters of a remote that is described in it "
        "(`:s3,access_key_id=...:bucket/x.ms`) are credentials.",
    ),
    Key(
        name="rclone.anonymous",
        kind=Kind.BOOLEAN,
        default=False,
        doc="The remote needs no credentials.",
    ),
    Key(
        name="proxy.use",
        kind=Kind.BOOLEAN,
        default=False,
        in_charts=True,
        doc="Reach out through a proxy.",
    ),
    Key(
        name="proxy.server",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        in_charts=True,
        secret="userinfo",  # noqa: S106 (what is masked, not a password)
        doc="`host:port` or a URL; with user and password it is a credential.",
    ),
    Key(
        name="proxy.noproxy",
        kind=Kind.LIST,
        default=(),
        in_charts=True,
        doc="Reached without the proxy, besides localhost and the cluster's own names and ranges.",
    ),
    Key(
        name="monitor.port",
        kind=Kind.INTEGER,
        default=0,
        minimum=0,
        maximum=HIGHEST_PORT,
        default_doc="0 (off; 8080 in the charts)",
        doc="`/healthz`, `/readyz`, `/metrics`, `/summary` (JSON), and `POST /stop`, which ends "
        "the observation as if its streams had ended (exit 0). With `--processes N` each has a "
        "port of its own, from this one on.",
    ),
    Key(
        name="monitor.bind_hostname",
        kind=Kind.TEXT,
        default="127.0.0.1",
        default_doc="127.0.0.1 (all in the charts)",
        empty="0.0.0.0",  # noqa: S104 (where it is asked for)
        doc="Address, host name or interface that the monitor listens on; empty, `0.0.0.0` or "
        "`::` is all of this machine, IPv4 and IPv6.",
    ),
    Key(
        name="monitor.hosts",
        kind=Kind.LIST,
        default=(),
        default_doc="none (the pods' names in the charts)",
        check=parse_host,
        doc="Further names and addresses by which the monitor is asked (the Host header), "
        "`*.DOMAIN` for all names below one, `*` for any. Its own are the address that a request "
        "comes to, `monitor.bind_hostname`, localhost and the machine's host name; a request for "
        "another host gets 421.",
    ),
    Key(
        name="monitor.token_file",
        kind=Kind.TEXT,
        default=None,
        nullable=True,
        default_doc="none",
        doc="File with the token that `/stop` asks for, read once at the start; the charts make "
        "one.",
    ),
)
