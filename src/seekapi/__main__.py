"""`python -m seekapi`: the same as the `seekapi` command."""

import os
import sys

if __name__ == "__main__":
    # `-m` puts the current folder first, where a user's `json.py` would become ours.
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    from seekapi._cli import main

    raise SystemExit(main())
