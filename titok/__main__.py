"""``python -m titok``."""

import sys

from titok.runtime.fork_server import run_by_server

if __name__ == "__main__":
    status = run_by_server(sys.argv[1:])
    if status is not None:
        sys.exit(status)
    from titok.cli import main
    from titok.runtime.logs import kept_unless_done

    with kept_unless_done():
        main()
