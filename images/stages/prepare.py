"""Inside a build: receive a small observation, for the sample and for what numba compiles.

What was compiled is kept by processor level (receive/host/compiled_code.py), each in a folder of
its own, so that it fits whatever machine the image runs on, not only the one that built it.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from receive.host.compiled_code import levels_of_this_machine

BIN = Path(sys.executable).parent
SAMPLE = "sim-vis.ms"
# 16 channels: four receivers with a stream of four channels each.
OBSERVATION = {
    "--array": "meerkat",
    "--num-antennas": "6",
    "--integrations": "20",
    "--interval": "1",
    "--channels": "16",
    "--noise": "0.5",
    "--flag-fraction": "0.05",
    "--weights": "random",
    "--seed": "20260101",
}
TIMEOUT_S = 300.0
KEPT = 4
"""States of the sources whose compiled code is kept, such as those of some branches."""


def main() -> int:
    """Make the sample, and the compiled code of each level that this machine can run."""
    out, earlier = Path(sys.argv[1]), Path(sys.argv[2], digest_of_compiled())
    (out / "compiled").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        options = [part for option in OBSERVATION.items() for part in option]
        simulate: list[str | Path] = [BIN / "emu-simulate", *options, SAMPLE]
        subprocess.run(simulate, cwd=folder, check=True, timeout=TIMEOUT_S)
        pack(folder / SAMPLE, out / "sample.tar.gz")
        levels = levels_of_this_machine()
        for level in levels:
            began_s = time.monotonic()
            cache = out / "compiled" / level
            if (earlier / level).is_dir():
                shutil.copytree(earlier / level, cache)
                if level != levels[0]:  # one observation shows that the image works
                    continue
            environment = os.environ | {
                "NUMBA_CACHE_DIR": str(cache),
                "NUMBA_CPU_NAME": level,
                "NUMBA_CPU_FEATURES": "",
            }
            for transport in ("udp", "tcp"):
                observe(folder, transport, environment)
            count = len(list(cache.rglob("*.nbc")))
            print(f"compiled {count} functions for {level} in {time.monotonic() - began_s:.1f} s")
    keep(out / "compiled", earlier)
    for path in [out, *out.rglob("*")]:
        os.utime(path, (0, 0))
    return 0


def digest_of_compiled() -> str:
    """Return a digest of all that compiled code is made of: the packages that compile, and numba.

    numba itself looks at the function's own file only, not at what is inlined from others.
    """
    found = hashlib.sha256(sys.version.encode())
    for name in ("numba", "llvmlite", "numpy"):
        found.update(f"{name} {importlib.metadata.version(name)}".encode())
    packages = Path(next(BIN.parent.glob("lib/python*/site-packages")))
    modules = [path for ours in ("receive", "emulator") for path in (packages / ours).rglob("*.py")]
    compiling = {path.parent for path in modules if "njit" in path.read_text()}
    for path in sorted(path for path in modules if path.parent in compiling):
        found.update(str(path).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def keep(compiled: Path, earlier: Path) -> None:
    """Keep what was compiled for the next builds; of what is older only the newest."""
    if earlier.is_dir():
        return
    found = sorted(earlier.parent.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=earlier.parent))
    shutil.copytree(compiled, work, dirs_exist_ok=True)
    os.utime(work)
    work.rename(earlier)


def observe(folder: Path, transport: str, environment: dict[str, str]) -> None:
    """Send the sample to a receiver, as in a pod."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    options = [
        *("-o", f"reception.transport={transport}"),
        *("-o", "transmission.channels_per_stream=4"),
    ]
    receiver = subprocess.Popen(
        [
            BIN / "emu-recv",
            *options,
            *("-o", "reception.bind_hostname=127.0.0.1"),
            *("-o", "reception.port_start=0"),
            *("-o", f"reception.datamodel={SAMPLE}"),
            *("-o", "reception.outputfilename=received.ms"),
            *("-o", "reception.overwrite=true"),
            *("-o", "reception.idle_timeout=60"),
            *("--ready-file", ready.name),
        ],
        cwd=folder,
        env=environment,
    )
    try:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not ready.exists():
            if receiver.poll() is not None or time.monotonic() > deadline_s:
                sys.exit("emu-recv does not become ready")
            time.sleep(0.05)
        ports = json.loads(ready.read_text())["ports"]
        endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)
        subprocess.run(
            [
                BIN / "emu-send",
                *("-o", f"transmission.transport={transport}"),
                *("-o", "transmission.channels_per_stream=4"),
                *("-o", f"transmission.endpoints={endpoints}"),
                *("-o", "transmission.time_interval=-1"),
                SAMPLE,
            ],
            cwd=folder,
            env=environment,
            check=True,
            timeout=TIMEOUT_S,
        )
        if receiver.wait(TIMEOUT_S):
            sys.exit(f"emu-recv ended with {receiver.returncode}")
    finally:
        receiver.kill()
        receiver.wait()


def pack(ms: Path, archive: Path) -> None:
    """Pack a set the same way every time."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    # gzip writes the time into its header unless it is told one.
    with (
        gzip.GzipFile(archive, "wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.add(ms, ms.name, filter=plain)


if __name__ == "__main__":
    sys.exit(main())
