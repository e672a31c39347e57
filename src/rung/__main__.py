"""`python -m rung`, and `rung`, are the command line."""

import contextlib
import faulthandler
import io
import os
import signal
import sys
from types import FrameType

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    code: int | None = None
    with contextlib.suppress(io.UnsupportedOperation, AttributeError):  # where there is no terminal and no file to write to
        faulthandler.enable()  # a crash in a library's machine code ends the process: which signal, and where, is said

    def end(number: int, frame: FrameType | None) -> None:
        # The command is being imported, or has ended and the process is being taken apart: nothing is left to do, and the code stands.
        os._exit(128 + number if code is None else code)

    for number in _STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and a shell's background jobs set it
            signal.signal(number, end)
    from rung import cli

    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    sys.exit(code)


if __name__ == "__main__":
    main()
