# Prints the path of an nginx to run. Where none is installed, Debian's package is unpacked into our cache,
# with the libraries that it lacks: installing it would start a server, and that is nobody's wish.
set -euo pipefail
source "$CI_HOME/lib.sh"

if command -v nginx; then
    exit 0
fi
root=$CI_CACHE/nginx
(
    flock 9
    [[ -f $root/.complete ]] && exit 0
    rm -rf "$root"
    mkdir -p "$root/debs/partial" "$root/bin"
    retry apt-get update -qq
    retry apt-get install --download-only --yes -qq --no-install-recommends \
        -o Dir::Cache::archives="$root/debs" -o APT::Sandbox::User=root nginx
    for package in "$root"/debs/*.deb; do
        dpkg -x "$package" "$root/files"
    done
    cat >"$root/bin/nginx" <<-SCRIPT
	#!/bin/sh
	LD_LIBRARY_PATH=$(find "$root/files" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:) exec $root/files/usr/sbin/nginx "\$@"
	SCRIPT
    chmod +x "$root/bin/nginx"
    "$root/bin/nginx" -v
    touch "$root/.complete"
) 9>"$CI_CACHE/nginx.lock" >&2
echo "$root/bin/nginx"
