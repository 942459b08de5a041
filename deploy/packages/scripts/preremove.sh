#!/bin/sh
# Stops the service before it is removed, but not before an upgrade. dpkg says "remove", rpm how
# many versions stay installed.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl stop switchyard.service
fi
if command -v systemctl >/dev/null; then
	systemctl disable --quiet switchyard.service
fi
