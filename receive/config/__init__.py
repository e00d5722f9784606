"""The configuration of a run: every dotted key's value, from files and options, checked.

::

    config = Config.load(Path("receive.yaml"), ["reception.transport=tcp"])
    config.reception.ring_heaps                 # 16, an int also to mypy
    config["reception.ring_heaps"]              # 16, as consumers of users read it
    config["reception"]["outputfilename"]       # "recv-vis.ms"

The keys are in `receive.config.keys`, the readers in `receive.config.sources`, what cannot go
together in `receive.config.checks`.  Nothing here imports more than the standard library (and
PyYAML, when a YAML file is read): ``--help`` must not wait for numpy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

from receive.command.errors import ConfigError
from receive.config.checks import check_combinations
from receive.config.keys import CATEGORIES, KEYS, VIEWS, Key, Views, find_key
from receive.config.sources import (
    Given,
    collect,
    leaf_of_option,
    leaves_of_file,
    leaves_of_mapping,
)
from receive.config.values import parse_endpoints, parse_span
from receive.host.memory_limit import memory_limit_bytes

UDP_PACKET_BYTES = 1472  # an Ethernet frame of 1500 bytes less the headers of IPv4 and UDP
TCP_PACKET_BYTES = 65536


class Category(Mapping[str, Any]):
    """The keys of one category by their last name: what ``config["reception"]`` gives.

    Old names answer too, but only present ones are listed.
    """

    __slots__ = ("_config", "_name")

    def __init__(self, config: Config, name: str) -> None:
        self._config = config
        self._name = name

    def __getitem__(self, name: str) -> Any:
        return self._config[f"{self._name}.{name}"]

    def __iter__(self) -> Iterator[str]:
        return iter(self._config.names(self._name))

    def __len__(self) -> int:
        return len(self._config.names(self._name))

    def __repr__(self) -> str:
        return f"Category({self._name!r})"


@final
class Config(Views, Mapping[str, Any]):
    """An immutable set of values for every key.

    Its attributes are the categories, frozen and typed.  As a mapping, for the code of users, it
    holds the categories, so ``config["reception"]["transport"]`` works; dotted names, old or
    present, answer too.  Its values are int, float, bool, str, list of str, or None.
    """

    __slots__ = ("_given", *VIEWS)
    _given: Mapping[str, Given]

    def __init__(self, given: Mapping[str, Given] | None = None) -> None:
        known = {name: one for name, one in (given or {}).items() if one.value is not None}
        object.__setattr__(self, "_given", known)
        values: dict[str, dict[str, Any]] = {category: {} for category in VIEWS}
        for key in (KEYS[name] for name in known):
            if not key.planned:
                values[key.category][key.last_name] = known[key.name].value
        for category, view in VIEWS.items():
            object.__setattr__(self, category, view(**values[category]))
        check_combinations(self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Config does not change; with_values() makes another")

    __delattr__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Config], tuple[dict[str, Given]]]:
        return Config, (dict(self._given),)

    # --- making one -----------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        files: Path | str | Sequence[Path | str] | None = None,
        options: Sequence[str] = (),
    ) -> Self:
        """Return the configuration of files and of command-line options, which win.

        Parameters
        ----------
        files
            INI, JSON or YAML, told apart by extension, else by content; of several for one key
            the last one wins.  None for none.
        options
            Texts ``category.name=value``; of several for one key the last one wins.

        Raises
        ------
        ConfigError
            Something in them is unknown, wrong, malformed or cannot go together.
        """
        if files is None:
            files = ()
        elif isinstance(files, (str, Path)):
            files = (files,)
        given: dict[str, Given] = {}
        for file in files:
            given |= collect(leaves_of_file(Path(file)))
        for option in options:
            given |= collect([leaf_of_option(option)])
        return cls(given)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], source: str = "configuration") -> Self:
        """Return the configuration of a mapping that is nested, dotted or both.

        `source` is what error messages call it.  Raises ConfigError as `load` does.
        """
        return cls(collect(leaves_of_mapping(mapping, source)))

    def with_values(self, values: Mapping[str, Any], source: str = "configuration") -> Config:
        """Return a configuration with other values for some keys, given as in `from_mapping`.

        None puts a key back to its default.
        """
        resets = {
            key.name for name, value in values.items() if value is None and (key := _key(name))
        }
        new = collect(leaves_of_mapping({n: v for n, v in values.items() if v is not None}, source))
        kept = {name: one for name, one in self._given.items() if name not in resets}
        return Config(kept | new)

    # --- reading --------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        key = find_key(name)
        if key is None:
            if name in CATEGORIES:
                return Category(self, name)
            raise KeyError(name)
        given = self._given.get(key.name)
        value = key.default if given is None else given.value
        return list(value) if isinstance(value, tuple) else value

    def __iter__(self) -> Iterator[str]:
        return iter(CATEGORIES)

    def __len__(self) -> int:
        return len(CATEGORIES)

    def __repr__(self) -> str:
        given = {name: self._masked(name) for name in self._given}
        return f"Config.from_mapping({given!r})"

    def _masked(self, name: str) -> object:
        """Return a value as it may be shown."""
        from receive.config.masking import masked  # noqa: PLC0415 (--help shows no value)

        return masked(KEYS[name].secret, self[name])

    def names(self, category: str) -> list[str]:
        """Return the present names of the keys of `category`, without it."""
        return [key.last_name for key in KEYS.values() if key.category == category]

    def is_set(self, name: str) -> bool:
        """Tell whether the user gave a value for the key; KeyError if there is no such key."""
        return _key(name).name in self._given

    def place_of(self, name: str) -> str:
        """Return where the key's value was given, ``FILE:LINE`` or ``-o``, else ``default``."""
        given = self._given.get(_key(name).name)
        return "default" if given is None else given.place

    def dotted(self) -> dict[str, Any]:
        """Return all values by dotted name."""
        return {name: self[name] for name in KEYS}

    def nested(self) -> dict[str, dict[str, Any]]:
        """Return all values by category and name."""
        return {category: dict(self[category]) for category in CATEGORIES}

    def to_json(self, *, masked: bool = True, given_only: bool = False) -> str:
        """Return the values as a JSON object of dotted names, which `load` reads again.

        Parameters
        ----------
        masked
            Hide credentials, as everything that is logged or stored must.
        given_only
            Leave out defaults.  Keys without a value are always left out.
        """
        names = self._given if given_only else KEYS
        shown = self._masked if masked else self.__getitem__
        values = {name: shown(name) for name in KEYS if name in names and self[name] is not None}
        return json.dumps(values, indent=2, ensure_ascii=False)

    def require_available(self, prefixes: Iterable[str]) -> None:
        """Refuse what was asked for, under `prefixes`, and is not in this version.

        Parameters
        ----------
        prefixes
            Categories or dotted names that the command would act on.

        Raises
        ------
        ConfigError
            A key that is planned has a value other than its default, or a planned value.
        """
        for prefix in prefixes:
            for name, given in self._given.items():
                key = KEYS[name]
                if name != prefix and not name.startswith(f"{prefix}."):
                    continue
                if given.value in key.planned_values:
                    others = ", ".join(c for c in key.choices if c not in key.planned_values)
                    raise ConfigError(
                        f"{given.place}: {name} {given.value} is not available in this version; "
                        f"available: {others}"
                    )
                if key.planned and given.value != key.default:
                    raise ConfigError(
                        f"{given.place}: {name} is not available in this version; remove it"
                    )

    # --- values that depend on others, or on the machine ----------------------------------------

    def max_packet_size_bytes(self) -> int:
        """Return the largest packet to send: as configured, else what the transport suits."""
        tcp = self.transmission.transport == "tcp"
        return self.transmission.max_packet_size or (TCP_PACKET_BYTES if tcp else UDP_PACKET_BYTES)

    def dump_timeout_s(self, interval_s: float) -> float:
        """Return how long an integration waits for its missing heaps.

        Parameters
        ----------
        interval_s
            The model's integration interval, s.
        """
        return self.reception.dump_timeout or max(3 * interval_s, 1.0)

    def buffer_memory_bytes(self) -> int:
        """Return the bound of the memory for dumps: as configured, else 25 % of the limit."""
        return self.reception.buffer_memory or memory_limit_bytes() // 4

    def datamodel(self) -> Path:
        """Return ``reception.datamodel``, the set that describes the observation.

        Raises
        ------
        ConfigError
            None was given.
        """
        if not self.reception.datamodel:
            raise ConfigError(
                "reception.datamodel is missing: give the Measurement Set that describes the "
                "observation, such as -o reception.datamodel=sim-vis.ms"
            )
        return Path(self.reception.datamodel)

    def channel_span(self) -> tuple[int, int] | None:
        """Return (start, count) of ``reception.channels``, None for all."""
        span = self.reception.channels
        return None if span is None else parse_span(span)

    def endpoints(self) -> list[tuple[str, int]]:
        """Return (host, port) of each of ``transmission.endpoints``, one a stream; or none."""
        return parse_endpoints(self.transmission.endpoints)


def _key(name: str) -> Key:
    key = find_key(name)
    if key is None:
        raise KeyError(name)
    return key
