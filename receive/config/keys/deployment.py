"""The keys of what surrounds a receiver in a cluster: model, results, proxy, monitor."""

from receive.config.keys.category import category, key
from receive.config.values import HIGHEST_PORT, parse_host, parse_sha256


@category
class Model:
    """Where a deployment's telescope model comes from."""

    pull: bool = key(True, "Fetch the telescope model.", in_charts=True)
    url: str | None = key(
        None,
        "Its archive: `http(s)`, `file`, or a path in the image; `.tar.gz`, `.tar.xz`, `.zip`.",
        default_doc="a small sample observation in the image",
        secret="userinfo",  # noqa: S106 (what is masked, not a password)
    )
    sha256: str | None = key(
        None, "Checksum of the archive, checked when given.", check=parse_sha256
    )
    name: str = key("sim-vis.ms", "The Measurement Set's name in the archive.")


@category
class Transmit:
    """The sender of a deployment."""

    model: bool = key(True, "Start a sender in the pod.", in_charts=True)


@category
class Results:
    """What happens to a deployment's output."""

    push: bool = key(False, "Run the push container.", in_charts=True)
    push_partial: bool = key(False, "Push also what a stopped or crashed receiver left.")
    start_timeout: float = key(
        300.0, "Push gives up when the receiver has not started by then.", unit="s", minimum=0
    )
    retries: int = key(5, "How often a push is tried again, with backoff.", minimum=0)


@category
class Rclone:
    """Where results are pushed to."""

    configurl: str | None = key(
        None,
        "URL of an rclone.conf; such a URL is a credential: it is kept in a Secret and never "
        "logged.",
        secret=True,
    )
    secret: str | None = key(
        None, "Name of a Secret that holds rclone.conf instead.", in_charts=True
    )
    command: str | None = key(
        None,
        "Destination, `remote:path`. Parameters of a remote that is described in it "
        "(`:s3,access_key_id=...:bucket/x.ms`) are credentials.",
        secret="destination",  # noqa: S106 (what is masked, not a password)
    )
    anonymous: bool = key(False, "The remote needs no credentials.")


@category
class Proxy:
    """The way out of a cluster."""

    use: bool = key(False, "Reach out through a proxy.", in_charts=True)
    server: str | None = key(
        None,
        "`host:port` or a URL; with user and password it is a credential.",
        in_charts=True,
        secret="userinfo",  # noqa: S106 (what is masked, not a password)
    )
    noproxy: tuple[str, ...] = key(
        (),
        "Reached without the proxy, besides localhost and the cluster's own names and ranges.",
        in_charts=True,
    )


@category
class Monitor:
    """Health and metrics."""

    port: int = key(
        0,
        "`/healthz`, `/readyz`, `/metrics`, `/summary` (JSON), and `POST /stop`, which ends "
        "the observation as if its streams had ended (exit 0). With `--processes N` each has a "
        "port of its own, from this one on.",
        minimum=0,
        maximum=HIGHEST_PORT,
        default_doc="0 (off; 8080 in the charts)",
    )
    bind_hostname: str = key(
        "127.0.0.1",
        "Address, host name or interface that the monitor listens on; empty, `0.0.0.0` or "
        "`::` is all of this machine, IPv4 and IPv6.",
        empty="0.0.0.0",  # noqa: S104 (where it is asked for)
        default_doc="127.0.0.1 (all in the charts)",
    )
    hosts: tuple[str, ...] = key(
        (),
        "Further names and addresses by which the monitor is asked (the Host header), "
        "`*.DOMAIN` for all names below one, `*` for any. Its own are the address that a request "
        "comes to, `monitor.bind_hostname`, localhost and the machine's host name; a request for "
        "another host gets 421.",
        default_doc="none (the pods' names in the charts)",
        check=parse_host,
    )
    token_file: str | None = key(
        None,
        "File with the token that `/stop` asks for, read once at the start; the charts make one.",
    )
