# Prints the path of an nginx to run. Where none is installed, Debian's package is unpacked into our cache,
# with the libraries that it lacks: installing it would start a server, and that is nobody's wish.
set -euo pipefail
source "$CI_HOME/lib.sh"

if command -v nginx; then
    exit 0
fi
files=$(unpacked nginx nginx)
mkdir -p "$files/run"
cat >"$files/run/nginx" <<-SCRIPT
	#!/bin/sh
	LD_LIBRARY_PATH=$(libraries_of "$files") exec $files/usr/sbin/nginx "\$@"
SCRIPT
chmod +x "$files/run/nginx"
"$files/run/nginx" -v >&2
echo "$files/run/nginx"
