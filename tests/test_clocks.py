"""Clocks: durations come from the monotonic one, the calendar gives only names and stamps, in UTC."""

import re
from pathlib import Path

import rung

SOURCE = Path(rung.__file__).parent


def test_the_calendar_is_read_only_where_a_stamp_is_written() -> None:
    """N56, N57: a clock that jumps changes no duration, and every stamp is in UTC."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if path == SOURCE / "data" / "cache.py":  # how long a file was not used: its time against the calendar, which only `rung cache --clear` looks at
            assert text.count("time.time()") == 1
            text = text.replace("time.time()", "")
        assert not re.search(r"\btime\.(time|localtime|ctime|strftime)\b|\butcnow\b|\b(date|datetime)\.today\b", text), path
        calls = re.findall(r"datetime\.now\((.*?)\)", text)
        # The store stamps who holds a lock since when, when a test set was opened, why a run stopped; and it names runs.
        assert not calls or path.parent == SOURCE / "store", path
        assert set(calls) <= {"UTC"}, path
