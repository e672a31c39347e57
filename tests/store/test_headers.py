import json

import numpy as np
import pytest
from safetensors.numpy import save

from rung.store.headers import header


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a header of 0 bytes in 0"),
        (b"\xff" * 8 + b"{}", r"a header of 18,446,744,073,709,551,615 bytes in 10 \(at most 16,777,216 are read\)"),
        ((1 << 25).to_bytes(8, "little") + bytes(1 << 25), "a header of 33,554,432 bytes"),
        ((2).to_bytes(8, "little") + b"[]", "its header is damaged"),
        ((2).to_bytes(8, "little") + b"{x", "its header is damaged"),
        ((9).to_bytes(8, "little") + b'{"a": {}}', "its header is damaged"),
        ((60000).to_bytes(8, "little") + b"[" * 60000, "its header is damaged"),
        ((30).to_bytes(8, "little") + b'{"a":{"data_offsets":[0,1e9]}}', "its tensors end at byte 1,000,000,000 of 0"),
        ((2).to_bytes(8, "little") + b"{}more", "its tensors end at byte 0 of 4"),
    ],
)
def test_hostile_headers_are_refused_in_words(data, message):
    with pytest.raises(ValueError, match=message):
        header(data)


def test_a_good_header_is_that_of_the_library():
    data = save({"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.int64)}, {"about": "x"})
    found = header(data)
    assert found["__metadata__"] == {"about": "x"}
    assert {name: found[name]["shape"] for name in "ab"} == {"a": [2, 3], "b": [5]}
    with pytest.raises(ValueError, match="its tensors end at byte 64 of 63"):
        header(data[:-1])


def test_a_header_may_have_16_mb():
    text = json.dumps({}).encode()
    longest = text + b" " * ((16 << 20) - len(text))
    assert header(len(longest).to_bytes(8, "little") + longest) == {}
