"""etcd, the API server, the controllers, the scheduler and the services' proxy."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

from testbed.addresses import NODES
from testbed.errors import BedError
from testbed.network import has_bridge_filter, inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.addresses import Addresses
    from testbed.certificates import Authority
    from testbed.processes import Ledger, Started

API_PORT = 6443
ETCD = "http://127.0.0.1:2379"
READY_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.1


class ControlPlane:
    """The cluster without its nodes.

    Attributes
    ----------
    folder
        The bed's run folder.
    kubeconfig
        The administrator's.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Path,
        addresses: Addresses,
        authority: Authority,
        ledger: Ledger,
        namespace: int,
    ) -> None:
        self.folder = folder
        self._bin = binaries
        self._addresses = addresses
        self._authority = authority
        self._ledger = ledger
        self._inside = inside(namespace)
        self._namespace = namespace
        self._started: list[Started] = []
        self.server = f"https://{addresses.node(NODES[0])}:{API_PORT}"
        pair = authority.give("admin", "admin", "system:masters")
        self.kubeconfig = authority.kubeconfig(
            folder / "kubeconfig", self.server, pair, f"vis-receive-bed-{addresses.number}"
        )

    def start(self) -> None:
        """Start the database and the API server, which is ready a few seconds later."""
        data = self.folder / "etcd"
        # A database that is thrown away need not survive the machine.
        self._start(
            "etcd",
            f"--data-dir={data}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        self._start_api_server()

    def _start_api_server(self) -> None:
        addresses = self._addresses
        address = addresses.node(NODES[0])
        hosts = (
            *(f"IP:{ip}" for ip in (address, addresses.first_service, "127.0.0.1")),
            *(f"DNS:kubernetes{end}" for end in ("", ".default", ".default.svc")),
            "DNS:kubernetes.default.svc.cluster.local",
        )
        certificate, key = self._authority.give("apiserver", "kube-apiserver", hosts=hosts)
        client, client_key = self._authority.give(
            "apiserver-kubelet", "kube-apiserver-kubelet", "system:masters"
        )
        tokens, tokens_key = self._authority.signing_key("tokens")
        self._tokens_key = tokens_key
        self._start(
            "kube-apiserver",
            f"--etcd-servers={ETCD}",
            f"--secure-port={API_PORT}",
            f"--advertise-address={address}",
            f"--service-cluster-ip-range={addresses.services}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self._authority.file}",
            f"--kubelet-certificate-authority={self._authority.file}",
            f"--kubelet-client-certificate={client}",
            f"--kubelet-client-key={client_key}",
            # Names of nodes are in no name server.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={tokens}",
            f"--service-account-signing-key-file={tokens_key}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--profiling=false",
        )

    def start_controllers(self) -> None:
        """Start what acts on objects, once the API server has given it its rights."""
        for name, options in {
            "kube-controller-manager": (
                "--use-service-account-credentials=true",
                f"--root-ca-file={self._authority.file}",
                f"--service-account-private-key-file={self._tokens_key}",
                f"--cluster-signing-cert-file={self._authority.file}",
                f"--cluster-signing-key-file={self._authority.key}",
            ),
            "kube-scheduler": (),
        }.items():
            kubeconfig = self._kubeconfig(name, f"system:{name}")
            self._start(
                name,
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                "--leader-elect=false",
                *options,
            )

    def start_proxy(self) -> None:
        """Start the proxy of services: one for all nodes, which share a network namespace."""
        kubeconfig = self._kubeconfig("kube-proxy", "system:kube-proxy")
        config = self.folder / "kube-proxy.json"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                    "kind": "KubeProxyConfiguration",
                    "clientConnection": {"kubeconfig": str(kubeconfig)},
                    "mode": "iptables",
                    "clusterCIDR": self._addresses.pods,
                    "hostnameOverride": NODES[0],
                    # Else a service would answer a pod of the same bridge by its own address.
                    "iptables": {"masqueradeAll": not has_bridge_filter(self._namespace)},
                    # The machine's limits of connections are not the bed's to change.
                    "conntrack": {
                        "maxPerCore": 0,
                        "min": 0,
                        "tcpEstablishedTimeout": "0s",
                        "tcpCloseWaitTimeout": "0s",
                    },
                }
            )
        )
        self._start("kube-proxy", f"--config={config}")

    def is_alive(self) -> bool:
        """Whether nothing of it has ended."""
        return all(process.is_alive() for process in self._started)

    def wait(self) -> None:
        """Wait until the API server answers.

        Raises
        ------
        BedError
            When it ends, or does not answer in time.
        """
        self.wait_until("the API server answers", lambda: self.kubectl("get", "--raw=/readyz"))

    def wait_until(self, what: str, condition: Callable[[], object]) -> None:
        """Wait for a condition; see that nothing that is needed has ended meanwhile."""
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while not condition():
            for process in self._started:
                if not process.is_alive():
                    log = self._ledger.log(process.name)
                    raise BedError(f"{process.name} has ended: its last words are in {log}")
            if time.monotonic() > deadline_s:
                raise BedError(
                    f"waited {READY_TIMEOUT_S:g} s in vain until {what}: see {self.folder / 'logs'}"
                )
            time.sleep(LOOK_EVERY_S)

    def kubectl_command(self, *arguments: str) -> list[str]:
        """Return the command line of kubectl as the administrator."""
        return [str(self._bin / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator; return what it printed, or "" when it failed."""
        command = self.kubectl_command(*arguments)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            with (self.folder / "logs" / "kubectl.log").open("a") as log:
                log.write(f"{' '.join(arguments)}: {done.stderr}")
            return ""
        return done.stdout or "done"

    def _kubeconfig(self, name: str, user: str) -> Path:
        pair = self._authority.give(name, user)
        return self._authority.kubeconfig(
            self.folder / f"{name}.kubeconfig", self.server, pair, name
        )

    def _start(self, name: str, *options: str) -> None:
        self._started.append(
            self._ledger.start(name, [*self._inside, str(self._bin / name), *options])
        )
