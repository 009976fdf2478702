# The real peers: AWS's own Lambda runtime client, S3 as moto serves it, nginx, uvicorn, Node.
set -euo pipefail
source "$CI_HOME/lib.sh"

env=$(tool_env interop "$CI_TREE/tests/interop/requirements.txt")
nginx=$(bash "$CI_HOME/nginx.sh")
PATH=$(dirname "$nginx"):$PATH

# The wheel goes beside the kept environment, not into it.
"$env/bin/pip" install -qq --no-index --no-deps --target "$CI_WORK/interop-site" "$CI_WORK"/dist/*.whl
# The published 1.0.5, in an environment of its own: it runs as a worker of this platform.
"$CI_PYTHON" -m venv "$CI_WORK/seekapi-1.0.5"
retry "$CI_WORK/seekapi-1.0.5/bin/pip" install -qq --no-deps "seekapi==1.0.5"

cp -r "$CI_TREE" "$CI_WORK/interop"
rm -rf "$CI_WORK/interop/src"
cd "$CI_WORK/interop"
PYTHONPATH=$CI_WORK/interop-site SEEKAPI_105_PYTHON=$CI_WORK/seekapi-1.0.5/bin/python SEEKAPI_INTEROP=1 \
    tested "$env/bin/pytest" tests/interop
