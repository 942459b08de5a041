#!/bin/sh
# Makes the user, and after an upgrade puts the new program in the place of the running one. dpkg
# calls it as "configure VERSION-BEFORE", rpm with the number of versions installed. Nothing is
# started that did not run before: first an operator says who may connect.
set -e

case "$1" in
configure) before=$2 ;;
1) before= ;;
[2-9]) before=yes ;;
*) exit 0 ;; # dpkg takes back a removal or an upgrade that failed
esac

systemd-sysusers switchyard.conf

# systemd before 253 needs another kind of notification.
drop_in=/etc/systemd/system/switchyard.service.d/before-253.conf
version=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${version:-253}" -lt 253 ]; then
	if [ ! -e "$drop_in" ]; then
		mkdir -p "${drop_in%/*}"
		ln -sf /usr/share/switchyard/before-253.conf "$drop_in"
	fi
elif [ -L "$drop_in" ]; then
	rm "$drop_in"
	rmdir --ignore-fail-on-non-empty "${drop_in%/*}"
fi

[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload

# Prints the number of the running program, and 0 if there is none. It does not ask whether the unit
# is active, because it is not while it starts or reloads.
main_pid() { systemctl show --property MainPID --value switchyard.service; }

if [ -z "$before" ] || [ "$(main_pid)" -eq 0 ]; then
	exit 0
fi

# The connections stay open, unless they use TLS. Where the configuration gives root no right to
# operate, the signal asks for the same, and the answer is who serves from then on. The old program
# decides within 45 s. The caller's variables may name another server, and are left out.
code=0
env -i PATH="$PATH" switchyard upgrade --config /etc/switchyard/config.toml || code=$?
case $code in
0) exit 0 ;;
70 | 75 | 78) ;; # the new program cannot, the server is busy, the configuration has a fault
*)
	# If it has ended meanwhile, systemd starts the new program. The signal must not be sent to
	# number 0, which means all processes of this group: that of the package manager.
	old=$(main_pid)
	if [ "$old" -eq 0 ] || ! kill -USR2 "$old"; then
		exit 0
	fi
	for _ in $(seq 45); do
		[ "$(main_pid)" = "$old" ] || exit 0
		sleep 1
	done
	;;
esac
cat >&2 <<END
switchyard: the previous program keeps serving, because the new one has not taken over.
'journalctl --unit switchyard' says why. When that is mended, 'switchyard upgrade --config
/etc/switchyard/config.toml' tries again; 'systemctl restart switchyard' ends all connections.
END
