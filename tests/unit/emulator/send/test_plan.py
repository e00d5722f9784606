"""What follows from a configuration and a model, and what cannot."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from emulator.send.plan import SendPlan, make_plan
from receive.command.errors import ConfigError
from receive.config import Config
from receive.model import Antennas, TelescopeModel

MODEL = TelescopeModel(
    antennas=Antennas(("a", "b", "c"), np.zeros((3, 3))),
    antenna1=np.array([0, 0, 1], np.int32),
    antenna2=np.array([1, 2, 2], np.int32),
    channel_freq_hz=1e8 + 1e4 * np.arange(8),
    channel_width_hz=np.full(8, 1e4),
    corr_types=(9, 12),
    phase_centre_radec_rad=(1.0, 0.5),
    times_mjd_s=4.9e9 + np.arange(5.0),
    intervals_s=np.ones(5),
    exposures_s=np.ones(5),
)


def plan(**values: Any) -> SendPlan:
    dotted = {name.replace("__", "."): value for name, value in values.items()}
    return make_plan(Config.from_mapping(dotted), MODEL)


@pytest.mark.parametrize(
    ("per_stream", "channels"),
    [(0, [8]), (1, [1] * 8), (2, [2] * 4), (3, [3, 3, 2]), (5, [5, 3]), (8, [8])],
)
def test_the_last_stream_takes_what_is_left(per_stream: int, channels: list[int]) -> None:
    made = plan(transmission__channels_per_stream=per_stream)
    spans = [made.stream_channels(stream) for stream in range(made.streams)]
    assert [span.stop - span.start for span in spans] == channels
    assert np.concatenate([np.arange(8)[span] for span in spans]).tolist() == list(range(8))


def test_channel_ids_are_numbers_in_the_whole_set() -> None:
    made = plan(reader__start_chan=3, transmission__channel_id_offset=100)
    assert (made.start_chan, made.num_chan, made.layout.first_channel) == (3, 5, 103)


def test_ports_follow_each_other() -> None:
    made = plan(transmission__channels_per_stream=4, transmission__target_port_start=5000)
    assert made.endpoints == (("127.0.0.1", 5000), ("127.0.0.1", 5001))


def test_endpoints_of_several_hosts() -> None:
    made = plan(transmission__channels_per_stream=3, transmission__endpoints="one:7-8,[::1]:9")
    assert made.endpoints == (("one", 7), ("one", 8), ("::1", 9))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reader__start_chan": 8}, "reader.start_chan 8 is past the end.*0 to 7"),
        (
            {"transmission__channels_per_stream": 9},
            "channels_per_stream 9 is more than the 8 channels",
        ),
        (
            {"reader__num_chan": 2, "transmission__channels_per_stream": 3},
            "channels_per_stream 3 is more than the 2 channels",
        ),
        (
            {"transmission__endpoints": "one:7-8", "transmission__channels_per_stream": 3},
            "has 2 ports, but there are 3 streams",
        ),
        (
            {"transmission__channels_per_stream": 1, "transmission__target_port_start": 65530},
            "up to 65528",
        ),
        ({"transmission__channel_id_offset": 2**32 - 8 + 1}, "up to 4294967288"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(**values)


def test_what_is_too_much_is_clamped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = plan(reader__start_chan=6, reader__num_chan=5, reader__num_timestamps=99)
    assert (made.num_chan, made.schedule.integrations) == (2, 5)
    assert "only 2 channels from number 6" in caplog.text
    assert "only 5 integrations" in caplog.text


def test_a_rate_that_cannot_keep_the_schedule_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plan(transmission__rate=100)  # a dump is 8 x 3 x 34 = 816 bytes, one a second
        assert "schedule cannot be kept" in caplog.text
        caplog.clear()
        plan(transmission__rate=1000)
        plan(transmission__rate=100, transmission__time_interval=-1)
        plan(transmission__rate=100, transmission__time_interval=10)
    assert not caplog.records


def test_the_plan_in_words() -> None:
    text = "\n".join(
        plan(
            transmission__channels_per_stream=3,
            transmission__rate=408,
            transmission__time_interval=-1,
            reader__num_repeats=2,
        ).describe()
    )
    assert "3 of 3 channels, 2 in the last, to 127.0.0.1:41000 ... 127.0.0.1:41002" in text
    assert "3 channels x 3 baselines x 34 bytes = 306 B" in text
    assert "10: 5 integrations, each sent 2 times, as fast as the rate lets" in text
    assert "8.0 KiB, rate 408 B/s, at least 20 s" in text
