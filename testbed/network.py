"""The bed's network namespace, and the link between it and the host.

Everything inside - the bridge of the pods, the services' rules, ports - goes with the namespace.
On the host there is an interface with a route, and rules that let pods out to where the host can
go; both are taken back.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.addresses import NODES
from testbed.errors import BedError
from testbed.packages import path_of, plugin_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.addresses import Addresses

BRIDGE = "cni0"
UPLINK = "uplink"
IPTABLES = ("iptables", "--wait")


def run(*command: str, check: bool = True) -> str:
    """Run a command of the system; return what it printed.

    Raises
    ------
    BedError
        When it ends with an error.
    """
    found = path_of(command[0])
    if found is None:
        raise BedError(f"{command[0]} is not on this machine: install it")
    done = subprocess.run([found, *command[1:]], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise BedError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def inside(namespace: int) -> tuple[str, ...]:
    """Return what to put before a command to run it in the network of a process."""
    return (path_of("nsenter") or "nsenter", f"--net=/proc/{namespace}/ns/net")


def routes() -> list[str]:
    """Return the networks that the host has routes to, its default route apart."""
    listed = json.loads(run("ip", "-json", "-4", "route", "show", "table", "all") or "[]")
    return [
        route["dst"] for route in listed if route["dst"][:1].isdigit() and "/0" not in route["dst"]
    ]


def connect(addresses: Addresses, namespace: int) -> None:
    """Link the bed's namespace, that of a process, to the host."""
    name = addresses.name
    run("ip", "link", "add", name, "type", "veth", "peer", "name", UPLINK, "netns", str(namespace))
    run("ip", "address", "add", f"{addresses.host}/{addresses.link_bits}", "dev", name)
    run("ip", "link", "set", name, "up")
    for node in NODES:
        address = f"{addresses.node(node)}/{addresses.link_bits}"
        run(*inside(namespace), "ip", "address", "add", address, "dev", UPLINK)
    for interface in ("lo", UPLINK):
        run(*inside(namespace), "ip", "link", "set", interface, "up")
    run("ip", "route", "add", addresses.whole, "via", addresses.node(NODES[0]))
    run(*inside(namespace), "ip", "route", "add", "default", "via", addresses.host)
    # What services answer to pods of the same bridge must pass the rules that turn addresses
    # back; a kernel without the bridge's hook gets the addresses masqueraded (kube_proxy.py).
    settings = ["net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"]
    for setting in settings:
        run(*inside(namespace), "sysctl", "-q", "-w", setting, check=False)


def _host_rules(addresses: Addresses) -> list[tuple[str, ...]]:
    name = addresses.name
    mine = ("-m", "comment", "--comment", name)
    return [
        ("nat", "POSTROUTING", "-s", addresses.whole, "!", "-o", name, *mine, "-j", "MASQUERADE"),
        ("filter", "FORWARD", "-i", name, *mine, "-j", "ACCEPT"),
        ("filter", "FORWARD", "-o", name, *mine, "-j", "ACCEPT"),
    ]


def let_out(addresses: Addresses) -> None:
    """Let the bed out to where the host can go."""
    for table, chain, *rule in _host_rules(addresses):
        run(*IPTABLES, "-t", table, "-I", chain, *rule)


def disconnect(addresses: Addresses) -> None:
    """Take back what was done to the host; what is not there is no error."""
    for table, chain, *rule in _host_rules(addresses):
        while _is_rule(table, chain, rule):
            run(*IPTABLES, "-t", table, "-D", chain, *rule)
    if addresses.name in run("ip", "-o", "link", "show"):
        run("ip", "link", "delete", addresses.name, check=False)


def _is_rule(table: str, chain: str, rule: Sequence[str]) -> bool:
    command = [path_of("iptables") or "iptables", "--wait", "-t", table, "-C", chain, *rule]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def has_bridge_filter(namespace: int) -> bool:
    """Whether packets between pods of one bridge pass the packet filter of the namespace."""
    said = run(
        *inside(namespace), "sysctl", "-n", "net.bridge.bridge-nf-call-iptables", check=False
    )
    return said.strip() == "1"


def write_pod_network(folder: Path, addresses: Addresses, leases: Path) -> None:
    """Write the CNI configuration; all nodes share the bridge and the list of leases."""
    folder.mkdir(parents=True)
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(leases),
            "ranges": [[{"subnet": addresses.pods, "gateway": addresses.pod_gateway}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    content = {
        "cniVersion": "1.0.0",
        "name": "bed",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }
    (folder / "10-bed.conflist").write_text(json.dumps(content, indent=2))


def plugins() -> str:
    """Return the folder of the CNI plugins."""
    found = plugin_folder()
    if found is None:
        raise BedError("no CNI plugins: install containernetworking-plugins")
    return str(found)


def namespace_of(pid: int) -> str:
    """Return what tells the network namespace of a process (0: this one) from others."""
    return str(Path(f"/proc/{pid or 'self'}/ns/net").readlink())
