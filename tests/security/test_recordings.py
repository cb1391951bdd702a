"""Recordings of strangers: no header makes memory, no pipe is waited for, no state of a checkpoint is taken on trust."""

import os
import struct

import pytest
from tests.helpers import recordings

from dlx.errors import UsageError
from dlx.processors.speech.decoding import BadAudioError, decode
from dlx.processors.speech.features import FeatureOptions, Features
from dlx.processors.speech.reader import restored_features


def test_a_header_that_promises_gigabytes_is_told_as_truncated(tmp_path):
    recordings.write(tmp_path / "a.wav", recordings.tone("go"))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = struct.pack("<I", 2**31 - 8)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(BadAudioError, match=r"truncated|overlong"):
        decode(str(tmp_path / "a.wav"), 8000, 20.0)


@pytest.mark.parametrize(("place", "value"), [(22, 999), (24, 900_000)])
def test_strange_numbers_of_channels_and_rates_are_refused(tmp_path, place, value):
    recordings.write(tmp_path / "a.wav", recordings.tone("go"))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[place : place + 2 + 2 * (place == 24)] = struct.pack("<H" if place == 22 else "<I", value)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(BadAudioError, match="unreadable: "):
        decode(str(tmp_path / "a.wav"), 8000, 20.0)


def test_a_pipe_and_a_folder_are_no_recordings(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    for file in (tmp_path / "a.wav", tmp_path):
        with pytest.raises(BadAudioError, match="no regular file"):
            decode(str(file), 8000, 20.0)


@pytest.mark.parametrize("change", [{"sample_rate": "fast"}, {"features": "none"}, {"num_mels": -1}, {"hop_seconds": 0.0}])
def test_a_damaged_state_is_one_message(change):
    state = Features(FeatureOptions()).state_dict()
    with pytest.raises(UsageError, match="the state of the audio processor is damaged"):
        restored_features({**state, "options": {**state["options"], **change}})
