"""A packet filter for what pods send out of the cluster, in a chain of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from testbed.network import BRIDGE, IPTABLES, UPLINK, inside, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHAIN = "POD-EGRESS"
# From the pods' bridge to the link: neither to pods, nor to services, nor to a node.
LEAVES = ("-i", BRIDGE, "-o", UPLINK, "-j", CHAIN)


@contextmanager
def only_to(namespace: int, allowed: Sequence[tuple[str, int]]) -> Iterator[None]:
    """Reject what pods send out of the cluster, but to some addresses.

    Parameters
    ----------
    namespace
        A process in the bed's network.
    allowed
        TCP addresses and ports.
    """
    iptables = (*inside(namespace), *IPTABLES)
    run(*iptables, "-N", CHAIN)
    try:
        answers = ("-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED")
        run(*iptables, "-A", CHAIN, *answers, "-j", "ACCEPT")
        for address, port in allowed:
            to = ("-d", address, "-p", "tcp", "--dport", str(port))
            run(*iptables, "-A", CHAIN, *to, "-j", "ACCEPT")
        run(*iptables, "-A", CHAIN, "-j", "REJECT")
        run(*iptables, "-I", "FORWARD", *LEAVES)
        yield
    finally:
        run(*iptables, "-D", "FORWARD", *LEAVES, check=False)
        run(*iptables, "-F", CHAIN)
        run(*iptables, "-X", CHAIN)
