# What the README tells a newcomer to type, in a fresh copy of the tree.
set -euo pipefail
source "$CI_HOME/lib.sh"

cp -r "$CI_TREE" "$CI_WORK/readme"
cd "$CI_WORK/readme"

"$CI_PYTHON" -m venv .venv
retry .venv/bin/pip install -q -e '.[dev]'
tested .venv/bin/pytest
