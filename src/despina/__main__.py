"""``python -m despina`` is the same program as ``despina``."""

import sys

from despina.cli import main

if __name__ == "__main__":
    sys.exit(main())
