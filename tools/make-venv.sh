#!/bin/sh
# Makes a virtual environment with pip in it: tools/make-venv.sh DIR, with PYTHON naming the interpreter.
# Debian's Python comes without ensurepip unless python3-venv is installed; the pip of python3-pip can stand in for it.
set -u
python=${PYTHON:-python3}
venv=$1

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "EMS needs Python 3.11 or later, and '$python' is not. On Debian 12: apt-get install python3" >&2
    exit 1
}
"$python" -m venv "$venv" >/dev/null 2>&1 && exit 0

rm -rf "$venv"
"$python" -m venv --without-pip "$venv" && "$python" -m pip --python "$venv/bin/python" install --quiet pip && exit 0

rm -rf "$venv"
echo "Python cannot make a virtual environment here. On Debian: apt-get install python3-venv" >&2
exit 1
