"""`python -m seekapi`: the same as the `seekapi` command."""

import os
import sys

if __name__ == "__main__":
    try:
        here = os.getcwd()
    except OSError:
        here = ""  # it is gone, which the command will say
    # `-m` puts the current folder first, where a user's `json.py` would become ours.
    if sys.path and sys.path[0] in ("", here):
        del sys.path[0]
    try:
        from seekapi._cli import main

        code = main()
    except KeyboardInterrupt:  # before main() could see to it; 130 as exit_codes.py has it
        code = 130
    raise SystemExit(code)
