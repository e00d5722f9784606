"""The environment that rclone runs in: what it needs of ours, and nothing else.

Each option of rclone can be set by a variable, also such as make it copy less, compare less or say
less.  None of them is passed on; what defines a remote is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from receive.download.proxies import Proxies
from receive.download.session import ca_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
        # Of an encrypted rclone.conf.
        "RCLONE_CONFIG_PASS",
        # Keys of SSH and tickets of Kerberos.
        *("SSH_AUTH_SOCK", "KRB5CCNAME", "KRB5_CONFIG"),
    }
)
_PREFIXES = (
    "LC_",
    # Credentials, for remotes with env_auth: S3, Google, Azure, Swift, Oracle.
    *("AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "IDENTITY_", "MSI_", "OS_", "ST_", "OCI_"),
)
_REMOTE = re.compile(r"RCLONE_CONFIG_.+_.+")
_OPTION_OF_REMOTE = re.compile(r"_(?:GLOBAL|OVERRIDE)\.", re.IGNORECASE)
"""Options of rclone itself, which a remote can be defined with."""


def rclone_environment(surroundings: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables for rclone.

    Parameters
    ----------
    surroundings
        Those that there are.
    """
    passed = {name: value for name, value in surroundings.items() if _is_passed(name)}
    bundle = ca_bundle(surroundings)
    if bundle is not None:  # rclone knows one of its names only
        passed.setdefault("SSL_CERT_DIR" if Path(bundle).is_dir() else "SSL_CERT_FILE", bundle)
    return passed | Proxies.of(surroundings).environment()


def _is_passed(name: str) -> bool:
    if name in _NAMES or name.startswith(_PREFIXES):
        return True
    return bool(_REMOTE.fullmatch(name)) and not _OPTION_OF_REMOTE.search(name)
