"""``python -m titok``."""

from titok.cli import main

if __name__ == "__main__":
    main()
