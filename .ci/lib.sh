# What the run and its stages share: the snapshot, the interpreters, downloads that are tried again, tool
# environments that are kept, and the processes that must not outlive the run. Sourced, never run.

snapshot_to() { # the checkout as git sees it, uncommitted files included: stages cannot disturb it or each other
    local root
    root=$(dirname "$CI_HOME")
    mkdir -p "$1"
    cd "$root"
    if git -c safe.directory='*' rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git -c safe.directory='*' ls-files -z --cached --others --exclude-standard | sort -zu |
            while IFS= read -r -d '' path; do [[ -e $path ]] && printf '%s\0' "$path"; done |
            tar -c --null --no-recursion --files-from=- | tar -xf - -C "$1"
    else
        tar --exclude=./.git --exclude='./.venv*' -cf - . | tar -xf - -C "$1"
    fi
    cd "$1"
}

declare -A interpreters=() # "3.11" -> path of a CPython of that version

find_interpreters() {
    local candidate version
    for candidate in "$HOME"/.pyenv/versions/*/bin/python \
        $(compgen -c python3 | grep -E '^python3(\.[0-9]+)?$' | sort -u); do
        candidate=$(command -v "$candidate" 2>/dev/null) || continue
        # Asked, not guessed: a shim on PATH may stand for a version that is not installed.
        version=$("$candidate" -c '
import sys, venv, ensurepip
if sys.implementation.name == "cpython" and sys.version_info >= (3, 10):
    print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null) || continue
        read -r version candidate <<<"$version"
        if [[ -n $version && -z ${interpreters[$version]:-} ]]; then
            interpreters[$version]=$candidate
        fi
    done
}

base_interpreter() { # the one for tools: `python3` where it will do, as the README says, else the newest
    local version
    version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=""
    if [[ -n $version && -n ${interpreters[$version]:-} ]]; then
        echo "${interpreters[$version]}"
        return
    fi
    version=$(printf '%s\n' "${!interpreters[@]}" | sort -V | tail -1)
    echo "${interpreters[$version]}"
}

retry() { # three tries, for whatever crosses the network
    local attempt
    for attempt in 1 2 3; do
        "$@" && return 0
        echo "try $attempt of 3 failed: $*" >&2
        ((attempt == 3)) || sleep $((attempt * 5))
    done
    return 1
}

tool_env() { # tool_env NAME REQUIREMENTS_FILE: prints the folder of an environment that holds exactly these
    local name=$1 requirements=$2 key env
    key=$({ cat "$requirements" && "$CI_PYTHON" -VV && echo "$CI_PYTHON"; } | sha256sum | cut -c1-16)
    env=$CI_CACHE/$name-$key
    (
        flock 9
        [[ -f $env/.complete ]] && exit 0
        rm -rf "$env"
        "$CI_PYTHON" -m venv "$env"
        retry "$env/bin/pip" install -qq -r "$requirements"
        touch "$env/.complete"
    ) 9>"$CI_CACHE/$name.lock" >&2
    echo "$env"
}

unpacked() { # unpacked NAME PACKAGE...: prints the folder in our cache that holds these Debian packages and what they need
    local name=$1 root=$CI_CACHE/$1
    shift
    (
        flock 9
        [[ -f $root/.complete ]] && exit 0
        rm -rf "$root"
        mkdir -p "$root/debs/partial" "$root/files"
        retry apt-get update -qq
        retry apt-get install --download-only --yes -qq --no-install-recommends \
            -o Dir::Cache::archives="$root/debs" -o APT::Sandbox::User=root "$@"
        for package in "$root"/debs/*.deb; do
            dpkg -x "$package" "$root/files"
        done
        rm -rf "$root/debs"
        touch "$root/.complete"
    ) 9>"$CI_CACHE/$name.lock" >&2
    echo "$root/files"
}

libraries_of() { # the folders below $1 that hold shared libraries, as LD_LIBRARY_PATH wants them
    find "$1" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:
}

end_left_behind() { # prints, then ends, each process that a stage started and that is still there
    local pid found="" grace
    for grace in 1 2 3; do
        found=$(started_by_this_run)
        [[ -n $found ]] || return 0
        sleep 1
    done
    for pid in $found; do
        echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        kill -KILL "$pid" 2>/dev/null || true
    done
}

started_by_this_run() { # CI_STAGE is set for stages only, so the run itself is not among them
    local environment
    for environment in /proc/[0-9]*/environ; do
        if grep -qz "^CI_RUN_ID=$CI_RUN_ID\$" "$environment" 2>/dev/null &&
            grep -qz '^CI_STAGE=' "$environment" 2>/dev/null; then
            basename "$(dirname "$environment")"
        fi
    done
}

# A machine that does other things as well may hold up one process among thousands for longer than its test allows. So
# what fails is run once more, if it is this little, and has to pass then; and the end of the run names it, to be mended.
MOST_AGAIN=10

tested() { # tested PYTEST [ARGUMENT...]
    local code=0 failed
    "$@" || code=$?
    ((code == 1)) || return "$code"
    failed=$("$CI_PYTHON" -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' \
        .pytest_cache/v/cache/lastfailed) || return 1
    (($(wc -l <<<"$failed") <= MOST_AGAIN)) || return 1
    echo "!!!!!!!! once more, what failed"
    "$@" --last-failed --last-failed-no-failures none || return 1
    sed "s/^/$CI_STAGE: /" <<<"$failed" >>"$CI_WORK/again"
}

count_tests() { # the sum over pytest's closing lines ("12 passed, 1 skipped in 0.34s") of all stages
    cat "$CI_WORK"/logs/* 2>/dev/null | grep -E ' in [0-9.]+s( \([0-9:]+\))?( =+)?$' |
        grep -oE "[0-9]+ $1" | awk '{ total += $1 } END { print total + 0 }'
}
