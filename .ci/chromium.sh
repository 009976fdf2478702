# Prints the folder that holds a `chromium` and a `chromedriver` to run: the system's, or Debian's packages unpacked
# into our cache, with the libraries that they lack.
set -euo pipefail
source "$CI_HOME/lib.sh"

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    dirname "$(command -v chromedriver)"
    exit 0
fi
files=$(unpacked chromium chromium chromium-driver fonts-dejavu-core)
mkdir -p "$files/run"
cat >"$files/run/fonts.conf" <<-FONTS
	<?xml version="1.0"?>
	<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
	<fontconfig>
	<dir>/usr/share/fonts</dir><dir>$files/usr/share/fonts</dir><cachedir>$files/run/fonts</cachedir>
	</fontconfig>
FONTS
for path in usr/lib/chromium/chromium usr/bin/chromedriver; do
    script=$files/run/$(basename "$path")
    cat >"$script" <<-SCRIPT
	#!/bin/sh
	export LD_LIBRARY_PATH=$(libraries_of "$files") FONTCONFIG_FILE=$files/run/fonts.conf
	exec $files/$path "\$@"
	SCRIPT
    chmod +x "$script"
done
"$files/run/chromium" --version >&2
"$files/run/chromedriver" --version >&2
echo "$files/run"
