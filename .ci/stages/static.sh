# Types and style, each tool pinned and in an environment of its own; all run, whatever the first one says.
set -uo pipefail
source "$CI_HOME/lib.sh"
PYRIGHT_VERSION=1.1.414

env=$(tool_env static "$CI_HOME/static-requirements.txt") || exit 1
pyright=$CI_CACHE/pyright-$PYRIGHT_VERSION
(
    flock 9
    [[ -f $pyright/.complete ]] && exit 0
    command -v npm >/dev/null || { echo "pyright needs node and npm, which are not installed"; exit 1; }
    rm -rf "$pyright"
    mkdir -p "$pyright"
    retry npm install --silent --no-audit --no-fund --prefix "$pyright" "pyright@$PYRIGHT_VERSION" || exit 1
    touch "$pyright/.complete"
) 9>"$CI_CACHE/pyright.lock" || exit 1

cd "$CI_TREE" || exit 1
typed=(src)
for path in examples tests/typing_api.py; do
    [[ -e $path ]] && typed+=("$path")
done

failed=0
check() {
    echo "-- $*"
    "$@" || failed=1
}
# Bases made explicit: several examples may hold a file of the same name.
MYPYPATH=src check "$env/bin/mypy" --strict --explicit-package-bases --cache-dir "$CI_WORK/mypy" "${typed[@]}"
check node "$pyright/node_modules/pyright/index.js" --pythonpath "$env/bin/python" "${typed[@]}"
check "$env/bin/ruff" check --no-cache .
# Code in prose is laid out for its reader, by hand.
check "$env/bin/ruff" format --no-cache --check --exclude "*.md" .
exit "$failed"
