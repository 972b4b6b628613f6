"""``python -m titok``."""

from titok.cli import main
from titok.runtime.logs import kept_unless_done

if __name__ == "__main__":
    with kept_unless_done():
        main()
