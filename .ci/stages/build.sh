# The wheel and the sdist, built once for all later stages; twice over, to see that the bytes are the same.
set -euo pipefail
source "$CI_HOME/lib.sh"

env=$(tool_env build "$CI_HOME/build-requirements.txt")
cp -r "$CI_TREE" "$CI_WORK/build"
cd "$CI_WORK/build"

# One wheel comes out of the sdist, the other straight out of the tree, under another umask and at another
# time: equal bytes mean that the sdist is complete as well.
retry "$env/bin/python" -m build --outdir "$CI_WORK/dist" .
(umask 077 && retry "$env/bin/python" -m build --wheel --outdir "$CI_WORK/dist-again" .)
"$env/bin/python" "$CI_HOME/check_dist.py" "$CI_WORK/dist" "$CI_WORK/dist-again"
