"""`python -m rung`, and `rung`, are the command line."""

import signal


def main() -> None:
    """Run the command line."""
    # While it is being imported, and after it has ended, Ctrl-C ends the process without Python's traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rung import cli

    cli.main()


if __name__ == "__main__":
    main()
