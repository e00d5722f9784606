"""OCI archives of images that are one static binary, as `FROM scratch` would make them."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PAUSE = "localhost/vis-receive/bed-pause:1"
COREDNS = "localhost/vis-receive/bed-coredns:1"
PROBE = "localhost/vis-receive/bed-probe:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


def write_archive(archive: Path, name: str, binary: Path, capability: bytes = b"") -> None:
    """Write an image whose only file, and entry point, is a static binary.

    Parameters
    ----------
    archive
        File to write: a tar in OCI's image layout.
    name
        Full name of the image, with its tag.
    binary
        The program; in the image it lies in the root.
    capability
        What the program's file gives whoever runs it, as its attribute holds it.
    """
    layer = _layer(binary, capability)
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": [f"/{binary.name}"], "User": "1000:1000", "WorkingDir": "/"},
            # Layers are not compressed, so that the archive's digest is the file system's.
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _described(f"{_OCI}.config.v1+json", config),
            "layers": [_described(f"{_OCI}.layer.v1.tar", layer)],
        }
    )
    listed = _described(f"{_OCI}.manifest.v1+json", manifest) | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        },
    }
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [listed]}),
    }
    for blob in (layer, config, manifest):
        files["blobs/" + _digest(blob).replace(":", "/")] = blob
    with tarfile.open(archive, "w") as tar:
        for path, content in files.items():
            _add(tar, path, content, mode=0o644)


def _layer(binary: Path, capability: bytes) -> bytes:
    made = io.BytesIO()
    attributes = {"SCHILY.xattr.security.capability": capability.decode()} if capability else {}
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, binary.name, binary.read_bytes(), mode=0o755, attributes=attributes)
    return made.getvalue()


def _add(
    tar: tarfile.TarFile,
    path: str,
    content: bytes,
    *,
    mode: int,
    attributes: dict[str, str] | None = None,
) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    entry.mode = mode
    entry.pax_headers = attributes or {}
    tar.addfile(entry, io.BytesIO(content))


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _described(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}
