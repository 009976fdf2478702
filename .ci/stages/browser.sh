# The dashboard in a real Chromium, from the installed wheel.
set -euo pipefail
source "$CI_HOME/lib.sh"

chromium=$(bash "$CI_HOME/chromium.sh")
"$CI_PYTHON" -m venv "$CI_WORK/browser-env"
retry "$CI_WORK/browser-env/bin/pip" install -qq "pytest>=8"
"$CI_WORK/browser-env/bin/pip" install -qq --no-index --no-deps "$CI_WORK"/dist/*.whl
cp -r "$CI_TREE" "$CI_WORK/browser"
rm -rf "$CI_WORK/browser/src"
cd "$CI_WORK/browser"
SEEKAPI_BROWSER=$chromium tested "$CI_WORK/browser-env/bin/pytest" tests/browser
