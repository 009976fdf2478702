# What users install, on one interpreter ($1): first with nothing else around, then under the whole suite.
set -euo pipefail
source "$CI_HOME/lib.sh"
python=$1
folder=$CI_WORK/$CI_STAGE
env=$folder/env
wheel=$(echo "$CI_WORK"/dist/*.whl)

mkdir -p "$folder/empty"
"$python" -m venv "$env"
"$env/bin/pip" install -qq --no-index --no-deps "$wheel"

# Without one development dependency: a missing import that only pytest's environment has would show here.
cd "$folder/empty"
"$env/bin/python" -I "$CI_HOME/smoke.py"
"$env/bin/seekapi" --version
"$env/bin/python" -m seekapi --help >help.txt
[[ -s help.txt ]] || { echo "python -m seekapi --help printed nothing"; exit 1; }

# The tree without src/, so that only the installed wheel can be meant by `seekapi`.
cp -r "$CI_TREE" "$folder/tree"
rm -rf "$folder/tree/src"
cd "$folder/tree"
retry "$env/bin/pip" install -qq "$wheel[dev]"
"$env/bin/python" -c 'import seekapi, sys; sys.exit("site-packages" not in seekapi.__file__)'
# Another stage runs beside this one.
tested "$env/bin/pytest" --lanes "$(nproc)"
