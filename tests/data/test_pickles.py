"""Pickles of plain arrays are read; that nothing in any other is ever run: `tests/test_hostile.py`."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.formats import pickles
from rung.errors import DataError

GOOD = {b"data": np.arange(12, dtype=np.uint8).reshape(2, 6), b"labels": [1, 0], b"names": [b"a", b"b"], "text": "é", "x": np.array(["p", "qq"])}


class Runs:
    """Pickles as a call, which a plain unpickler would make."""

    def __init__(self, call: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.how = (call, arguments) if state is None else (call, arguments, state)

    def __reduce__(self) -> Any:
        return self.how


@pytest.mark.parametrize("protocol", range(6))
def test_plain_arrays_lists_and_text_come_back(protocol: int) -> None:
    read = pickles.loads(pickle.dumps(GOOD, protocol), "x")
    assert read.keys() == GOOD.keys()
    for key, value in GOOD.items():
        assert np.array_equal(read[key], value)


def test_python_2_text_comes_as_bytes() -> None:
    assert pickles.loads(b"(dp0\nS'labels'\np1\n(lp2\nI3\naI4\nas.", "x") == {b"labels": [3, 4]}
    assert pickles.loads(b"\x80\x02}q\x00U\x06labelsq\x01]q\x02K\x03as.", "x") == {b"labels": [3]}


def test_a_refused_global_is_named() -> None:
    for protocol in (0, 2, 4):
        with pytest.raises(DataError, match=r"it asks for (posix|nt)\.system, which a data file has no need of"):
            pickles.loads(pickle.dumps(Runs(os.system, "true"), protocol), "x")


def test_types_that_others_use_cannot_be_changed() -> None:
    before = np.dtype("uint8").str, np.dtype("uint8").metadata
    data = b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00u1K\x00K\x00\x87R(K\x03X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb."
    pickles.loads(data, "x")
    assert (np.dtype("uint8").str, np.dtype("uint8").metadata) == before


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6), st.sampled_from([0, 2, 4]))
def test_damaged_pickles_are_read_or_refused(changes: list[tuple[int, int]], protocol: int) -> None:
    data = bytearray(pickle.dumps(GOOD, protocol))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        pickles.loads(bytes(data), "x")
    except DataError:
        return
