# The real peers: AWS's own Lambda runtime client, S3 as moto serves it, nginx, uvicorn, Node.
set -euo pipefail
source "$CI_HOME/lib.sh"

env=$(tool_env interop "$CI_TREE/tests/interop/requirements.txt")
nginx=$(bash "$CI_HOME/nginx.sh")
PATH=$(dirname "$nginx"):$PATH

# The wheel goes beside the kept environment, not into it.
"$env/bin/pip" install -qq --no-index --no-deps --target "$CI_WORK/interop-site" "$CI_WORK"/dist/*.whl
cp -r "$CI_TREE" "$CI_WORK/interop"
rm -rf "$CI_WORK/interop/src"
cd "$CI_WORK/interop"
PYTHONPATH=$CI_WORK/interop-site SEEKAPI_INTEROP=1 "$env/bin/pytest" tests/interop
