#!/bin/sh
# Installs the programs that the tests of the interop and browser layers run the server against (Debian 12 or later).
#   tests/setup-machine.sh      as root, or by a user who may use sudo
# Without them `make quick` still works; `make interop` and `make browser` name each program that is missing.
set -eu

packages="ffmpeg rtmpdump vlc-bin vlc-plugin-base gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 python3-gi mpv
nginx libnginx-mod-rtmp openssl curl chromium-headless-shell"

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "Please install for the tests: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -o DPkg::Lock::Timeout=600 update -q
# $missing is a list of words.
# shellcheck disable=SC2086
$as_root apt-get -o DPkg::Lock::Timeout=600 install -qy --no-install-recommends $missing
