"""The plan of a run: channels, streams, ports and memory, decided before a socket is bound.

``emu-recv --check`` prints it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.errors import ConfigError
from receive.command.progress import format_bytes
from receive.config.checks import check_ports
from receive.config.values import is_multicast
from receive.icd.records import RECORD_DTYPE, Telescope
from receive.stream.network.sockets import resolve
from receive.stream.table.layout import PoolSize, StreamLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receive.config import Config
    from receive.model import TelescopeModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """The sizes of a run.

    Attributes
    ----------
    model
        The observation, restricted to the channels of this receiver.
    telescope
        Selects the SPEAD items and the record type.
    layout
        Division into streams, and sizes in bytes.
    pool
        Number of buffers, and the window.
    ports
        One per stream; 0 lets the system choose.
    interval_s
        Median interval of the model's integrations.
    """

    model: TelescopeModel
    telescope: Telescope
    layout: StreamLayout
    pool: PoolSize
    ports: tuple[int, ...]
    interval_s: float
    buffer_memory_bytes: int

    @classmethod
    def make(cls, config: Config, model: TelescopeModel) -> Plan:
        """Decide the sizes.

        Raises
        ------
        ConfigError
            If channels, streams and ports contradict each other, or memory is too small.
        """
        reception = config.reception
        start, count = config.channel_span() or (0, model.num_channels)
        if start + count > model.num_channels:
            raise ConfigError(
                f"reception.channels = {start}:{count} ends past the model's "
                f"{model.num_channels} channels"
            )
        per_stream = _channels_per_stream(config, count)
        # With all channels in one stream, the model has no boundaries between streams.
        on_border = not config.transmission.channels_per_stream or (
            start % per_stream == 0
            and (count % per_stream == 0 or start + count == model.num_channels)
        )
        if not on_border:
            raise ConfigError(
                f"reception.channels = {start}:{count} does not begin and end between streams of "
                f"{per_stream} channels: give multiples of {per_stream}"
            )
        streams = -(-count // per_stream)
        index, processes = reception.process_index, reception.process_count
        if processes > streams:
            raise ConfigError(
                f"reception.process_count = {processes} is more than the {streams} streams that "
                f"there are to share: give at most {streams}, or fewer channels a stream"
            )
        first, last = index * streams // processes, (index + 1) * streams // processes
        first_channel = start + first * per_stream
        own = min(start + count, start + last * per_stream) - first_channel
        telescope = reception.telescope
        layout = StreamLayout(
            channel_count=own,
            channels_per_stream=min(per_stream, own),
            baseline_count=model.num_baselines,
            record_bytes=RECORD_DTYPE[telescope].itemsize,
            first_channel=first_channel,
        )
        memory = config.buffer_memory_bytes()
        pool = PoolSize.fit(layout, memory, reception.ring_heaps)
        if pool.window < reception.ring_heaps:
            logger.warning(
                "reception.buffer_memory = %d makes the window %d integrations instead of "
                "reception.ring_heaps = %d",
                memory,
                pool.window,
                reception.ring_heaps,
            )
        port = reception.port_start
        ports = tuple(port + first + i if port else 0 for i in range(last - first))
        check_ports(config, "reception.port_start", streams)
        _check_interface_is_used(config)
        _check_threads(config, len(ports))
        return cls(
            model=model.select_channels(first_channel, own),
            telescope=telescope,
            layout=layout,
            pool=pool,
            ports=ports,
            interval_s=float(np.median(model.intervals_s)),
            buffer_memory_bytes=memory,
        )

    def lines(self, config: Config) -> list[str]:
        """Return the lines that ``--check`` prints."""
        layout, model = self.layout, self.model
        last = layout.first_channel + layout.channel_count - 1
        ports = f"{self.ports[0]}-{self.ports[-1]}" if self.ports[0] else "chosen by the system"
        rate = layout.payload_bytes / self.interval_s if self.interval_s else 0.0
        baselines = f"{model.num_baselines} baselines"
        if model.is_autocorrelated:
            baselines += " with autocorrelations"
        held = format_bytes(self.pool.dumps * layout.dump_bytes)
        sources = ", ".join(config.reception.sources)
        return [
            f"model    {model.source}: {model.num_stations} antennas, {baselines}",
            f"times    {len(model.times_mjd_s)} integrations of {self.interval_s:g} s",
            f"channels {layout.first_channel} to {last}",
            f"streams  {layout.group_count} of {layout.channels_per_stream} channels",
            f"network  {config.reception.transport}, ports {ports}, from {sources}",
            f"dump     {format_bytes(layout.payload_bytes)} of records, {format_bytes(rate)}/s",
            f"memory   {self.pool.dumps} buffers of {format_bytes(layout.dump_bytes)}: {held}",
            f"window   {self.pool.window} integrations",
        ]

    def address(self, config: Config, host: str, ports: Sequence[int]) -> dict[str, Any]:
        """Return the content of the ready file: address and channels.

        Parameters
        ----------
        config
            The configuration.
        host, ports
            The address and the ports bound.
        """
        return {
            "pid": os.getpid(),
            "host": host,
            "ports": list(ports),
            "transport": config.reception.transport,
            "first_channel": self.layout.first_channel,
            "channel_count": self.layout.channel_count,
            "channels_per_stream": self.layout.channels_per_stream,
        }


def _channels_per_stream(config: Config, count: int) -> int:
    given = config.transmission.channels_per_stream
    ports = config.reception.num_ports
    if given > count:
        raise ConfigError(
            f"transmission.channels_per_stream = {given} is more than the {count} channels there "
            f"are to receive: give at most {count}, or 0 for all in one stream"
        )
    per_stream = given or (-(-count // ports) if ports else count)
    streams = -(-count // per_stream)
    if ports and ports != streams and not given:
        # One channel less per stream gives the next possible number of streams.
        more = f" or {-(-count // (per_stream - 1))}" if per_stream > 1 else ""
        raise ConfigError(
            f"reception.num_ports = {ports} does not share out {count} channels, of which all "
            f"streams but the last have the same number: give {streams}{more}"
        )
    if ports and ports != streams:
        raise ConfigError(
            f"reception.num_ports = {ports} contradicts {count} channels in streams of "
            f"{per_stream} (transmission.channels_per_stream), which are {streams} ports: "
            f"give one of the two"
        )
    return per_stream


def _check_threads(config: Config, streams: int) -> None:
    threads = config.reception.receiver_threads
    if config.reception.backpressure and 0 < threads < streams:
        raise ConfigError(
            f"reception.receiver_threads = {threads} with reception.backpressure would stop the "
            f"receiver: a thread that waits for one stream holds up the others; give {streams} "
            f"(one a stream) or 0"
        )


def _check_interface_is_used(config: Config) -> None:
    """Refuse an interface that neither receiver nor sender would use with this configuration."""
    interface, host = config.reception.interface_address, config.reception.bind_hostname
    transports = {config.reception.transport, config.transmission.transport}
    if interface is None or "ibverbs" in transports:
        return
    targets = [target for target, _ in config.endpoints()]
    targets = targets or [config.transmission.target_host]
    if any(map(is_multicast, targets)) or is_multicast(resolve(host, "reception.bind_hostname")):
        return
    raise ConfigError(
        f"reception.interface_address = {interface} is for multicast and ibverbs, and "
        f"reception.bind_hostname = {host or 'none'} is no multicast group: give "
        f"reception.bind_hostname = {interface} to receive on that interface"
    )
