# Sourced by the other scripts: enters the repository and makes sure that .venv holds gantools.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Print the first Python that is new enough ($PYTHON is tried first).
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    python=$(find_python) || die "needs Python 3.11 or newer, found $(python3 --version 2>&1 || true): apt-get install python3"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || die "Python's venv module is missing: apt-get install python3-venv"
    echo "making .venv with $("$python" --version)" >&2
    "$python" -m venv .venv || { rm -rf .venv; die "could not make .venv (see above)"; }
}

# install EXTRAS: gantools in editable form, unless this very pyproject.toml was installed with them (or, for none, with any).
install() {
    local extras=$1 python=.venv/bin/python stamp=.venv/.gantools-installed wanted
    [ -x "$python" ] || make_venv
    "$python" -m pip --version >/dev/null 2>&1 || die ".venv is damaged: rm -rf .venv, then run this again"
    wanted=$("$python" -c 'import hashlib, pathlib; print(hashlib.sha256(pathlib.Path("pyproject.toml").read_bytes()).hexdigest())')
    if grep -q "^$wanted ${extras:+$extras\$}" "$stamp" 2>/dev/null; then
        return
    fi
    echo "installing gantools${extras:+ with $extras}; the first time this fetches PyTorch (about 5 GB on Linux)" >&2
    "$python" -m pip install --quiet --disable-pip-version-check --retries 10 --timeout 60 -e ".${extras:+[$extras]}" >&2 ||
        die "pip could not install gantools (see above); what was downloaded is kept, so try again"
    # Only lines of this pyproject.toml stay: an older one's extras may lack what the new one asks for.
    { grep "^$wanted " "$stamp" 2>/dev/null || true; echo "$wanted $extras"; } >"$stamp.new"
    mv "$stamp.new" "$stamp"
}
