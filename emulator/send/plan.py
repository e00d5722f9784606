"""What a run of emu-send will do: channels, streams, endpoints, dumps and their sizes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.send.pacing import Schedule
from receive.command.errors import ConfigError
from receive.command.progress import format_bytes, format_seconds
from receive.config.checks import check_ports
from receive.icd.items import ITEM_SETS, ItemSet
from receive.stream.table.layout import StreamLayout

if TYPE_CHECKING:
    from receive.config import Config
    from receive.model import TelescopeModel

logger = logging.getLogger(__name__)

HIGHEST_CHANNEL_ID = 2**32 - 1


@dataclass(frozen=True, eq=False)
class SendPlan:
    """Everything that follows from a configuration and a telescope model.

    Attributes
    ----------
    start_chan, num_chan : int
        Channels of the set that are sent.
    layout : StreamLayout
        How they are divided into streams; ``first_channel`` is the first channel id sent.
    endpoints : tuple of (str, int)
        Host and port of each stream.
    schedule : Schedule
        Which dumps, and when.
    item_set : ItemSet
        What the heaps carry.
    rate_bytes_per_s : float
        Of all streams together; 0 is no limit.
    """

    start_chan: int
    num_chan: int
    layout: StreamLayout
    endpoints: tuple[tuple[str, int], ...]
    schedule: Schedule
    item_set: ItemSet
    rate_bytes_per_s: float

    @property
    def streams(self) -> int:
        """Number of streams."""
        return self.layout.group_count

    @property
    def total_bytes(self) -> int:
        """Bytes of records that are sent in all."""
        return self.layout.payload_bytes * self.schedule.dumps

    def stream_channels(self, stream: int) -> slice:
        """Return the channels of a stream, counted from the first one sent."""
        first = self.layout.group_first_channel(stream)
        return slice(first, first + self.layout.group_channels(stream))

    def duration_s(self) -> float:
        """Return how long the run takes at least: by its schedule and by its rate."""
        last_s = self.schedule.offset_s(self.schedule.dumps - 1)
        if not self.rate_bytes_per_s:
            return last_s
        return max(
            last_s + self.layout.payload_bytes / self.rate_bytes_per_s,
            self.total_bytes / self.rate_bytes_per_s,
        )

    def describe(self) -> list[str]:
        """Return the plan in a few lines for people."""
        layout, schedule = self.layout, self.schedule
        last = layout.group_channels(self.streams - 1)
        ragged = "" if last == layout.channels_per_stream else f", {last} in the last"
        rate = f"{format_bytes(self.rate_bytes_per_s)}/s" if self.rate_bytes_per_s else "no limit"
        if schedule.time_interval_s > 0:
            pace = f"one every {schedule.time_interval_s:g} s"
        else:
            pace = "as the data's own times" if schedule.paced else "as fast as the rate lets"
        lines = {
            "channels": f"{self.num_chan} of the set, from number {self.start_chan}; "
            f"ids from {layout.first_channel}",
            "streams": f"{self.streams} of {layout.channels_per_stream} channels{ragged}, "
            f"{_describe_endpoints(self.endpoints)}",
            "heap": f"{layout.channels_per_stream} channels x {layout.baseline_count} baselines "
            f"x {layout.record_bytes} bytes = {format_bytes(layout.data_bytes(0))}",
            "dump": format_bytes(layout.payload_bytes),
            "dumps": f"{schedule.dumps}: {schedule.integrations} integrations, each sent "
            f"{schedule.repeats} times, {pace}",
            "in all": f"{format_bytes(self.total_bytes)}, rate {rate}, "
            f"at least {format_seconds(self.duration_s())}",
        }
        return [f"{name:<10} {text}" for name, text in lines.items()]


def make_plan(config: Config, model: TelescopeModel) -> SendPlan:
    """Work out a run; warn of what is clamped.

    Parameters
    ----------
    config : Config
        ``reader.*`` and ``transmission.*`` are used, and ``reception.telescope``.
    model : TelescopeModel
        Of the set that is sent.

    Raises
    ------
    ConfigError
        If the configuration does not fit the set.
    """
    start_chan, num_chan = _channels(config, model)
    item_set = ITEM_SETS[config.reception.telescope]
    per_stream = config.transmission.channels_per_stream or num_chan
    if per_stream > num_chan:
        raise ConfigError(
            f"transmission.channels_per_stream {per_stream} is more than the {num_chan} channels "
            f"that are sent; accepted: 1 to {num_chan}, or 0 for all in one stream"
        )
    first_id = start_chan + config.transmission.channel_id_offset
    if first_id + num_chan - 1 > HIGHEST_CHANNEL_ID:
        raise ConfigError(
            f"transmission.channel_id_offset {config.transmission.channel_id_offset} makes "
            f"channel ids past {HIGHEST_CHANNEL_ID}; accepted: up to "
            f"{HIGHEST_CHANNEL_ID - start_chan - num_chan + 1}"
        )
    layout = StreamLayout(
        channel_count=num_chan,
        channels_per_stream=per_stream,
        baseline_count=model.num_baselines,
        record_bytes=item_set.record_dtype.itemsize,
        first_channel=first_id,
    )
    plan = SendPlan(
        start_chan=start_chan,
        num_chan=num_chan,
        layout=layout,
        endpoints=_endpoints(config, layout.group_count),
        schedule=Schedule.of(
            model,
            integrations=_integrations(config, model),
            repeats=config.reader.num_repeats,
            repeat_same_time=config.reader.repeat_same_time,
            time_interval_s=config.transmission.time_interval,
        ),
        item_set=item_set,
        rate_bytes_per_s=config.transmission.rate,
    )
    _warn_if_too_slow(plan)
    return plan


def _channels(config: Config, model: TelescopeModel) -> tuple[int, int]:
    start, count = config.reader.start_chan, config.reader.num_chan
    there = model.num_channels
    if start >= there:
        raise ConfigError(
            f"reader.start_chan {start} is past the end: the set has {there} channels; "
            f"accepted: 0 to {there - 1}"
        )
    if count > there - start:
        logger.warning(
            "reader.num_chan %d: there are only %d channels from number %d, they are sent",
            count,
            there - start,
            start,
        )
    return start, min(count or there, there - start)


def _integrations(config: Config, model: TelescopeModel) -> int:
    count = config.reader.num_timestamps
    there = model.num_times
    if count > there:
        logger.warning(
            "reader.num_timestamps %d: there are only %d integrations, they are sent", count, there
        )
    return min(count or there, there)


def _endpoints(config: Config, streams: int) -> tuple[tuple[str, int], ...]:
    endpoints = config.endpoints()
    if not endpoints:
        check_ports(config, "transmission.target_port_start", streams)
        host, first = config.transmission.target_host, config.transmission.target_port_start
        return tuple((host.strip("[]"), first + stream) for stream in range(streams))
    if len(endpoints) != streams:
        raise ConfigError(
            f"transmission.endpoints has {len(endpoints)} ports, but there are {streams} streams: "
            f"as many ports as streams are needed (channels over "
            f"transmission.channels_per_stream, rounded up)"
        )
    return tuple(endpoints)


def _warn_if_too_slow(plan: SendPlan) -> None:
    schedule, rate = plan.schedule, plan.rate_bytes_per_s
    if schedule.dumps < 2 or not rate or not schedule.paced:  # noqa: PLR2004 (from one to the next)
        return
    spacing_s = schedule.offset_s(schedule.dumps - 1) / (schedule.dumps - 1)
    # Repeats that carry the same time are due together: then nothing is too slow.
    if 0 < spacing_s < plan.layout.payload_bytes / rate:
        logger.warning(
            "transmission.rate %s/s takes %.3g s for a dump of %s, and one is due every %.3g s: "
            "the schedule cannot be kept",
            format_bytes(rate),
            plan.layout.payload_bytes / rate,
            format_bytes(plan.layout.payload_bytes),
            spacing_s,
        )


def _describe_endpoints(endpoints: tuple[tuple[str, int], ...]) -> str:
    first, last = (f"{host}:{port}" for host, port in (endpoints[0], endpoints[-1]))
    return f"to {first}" if len(endpoints) == 1 else f"to {first} ... {last}"
