"""What the bed takes from the machine's own packages: runc, the CNI plugins and a few tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from images.__main__ import cache_folder
from images.tools import installing
from testbed.errors import BedError

if TYPE_CHECKING:
    from collections.abc import Callable

# Command to the Debian package that has it.
COMMANDS = {
    "runc": "runc",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "hostname": "hostname",
    "openssl": "openssl",
    "sysctl": "procps",
    # A forward proxy, for tests of the way out of a cluster.
    "tinyproxy": "tinyproxy-bin",
}
PLUGINS = ("bridge", "host-local", "loopback", "portmap")
PLUGIN_FOLDERS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"), Path("/usr/libexec/cni"))
# An ordinary account's PATH may lack them.
SYSTEM_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def path_of(command: str) -> str | None:
    """Return the path of a command of the machine."""
    searched = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATH])
    return shutil.which(command, path=searched)


def plugin_folder() -> Path | None:
    """Return the folder of the CNI plugins."""
    for folder in PLUGIN_FOLDERS:
        if all((folder / plugin).exists() for plugin in PLUGINS):
            return folder
    return None


def missing() -> list[str]:
    """Return the Debian packages that are needed and not there."""
    packages = {package for command, package in COMMANDS.items() if path_of(command) is None}
    if plugin_folder() is None:
        packages.add("containernetworking-plugins")
    return sorted(packages)


def provide(report: Callable[[str], None]) -> None:
    """Install what is missing.

    Raises
    ------
    BedError
        When something is missing and cannot be installed here.
    """
    if missing():
        with installing(cache_folder()):
            _install(report)


def _install(report: Callable[[str], None]) -> None:
    # Somebody else may have done it meanwhile.
    packages = missing()
    if not packages:
        return
    advice = f"install {' '.join(packages)} (the names of Debian's packages)"
    if path_of("apt-get") is None or os.geteuid() != 0:
        raise BedError(f"the cluster needs more of this machine: {advice}")
    report(f"installing {' '.join(packages)} ...")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            last = "\n".join(done.stdout.splitlines()[-5:])
            raise BedError(f"{last}\n{command[1]} by apt-get failed: {advice}")
    if missing():
        raise BedError(f"the packages were installed and something is still not found: {advice}")
