#!/bin/sh
# Removes what the other scripts and the service have made. The user stays, as its number would
# otherwise be given to another one, with the files that it still owns.
set -e

drop_in=/etc/systemd/system/switchyard.service.d/before-253.conf
case "$1" in
remove | 0)
	if [ -L "$drop_in" ]; then
		rm "$drop_in"
		rmdir --ignore-fail-on-non-empty "${drop_in%/*}"
	fi
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
	fi
	;;
purge) rm -rf /var/lib/switchyard /var/log/switchyard ;; # only dpkg has this
esac
