#!/bin/sh
# Runs after an installation and after an upgrade, as root, on Debian and on systems with rpm.
set -eu

if ! getent passwd waybill >/dev/null; then
  # A group of the name may be left of an earlier installation.
  getent group waybill >/dev/null || groupadd --system waybill
  useradd --system --gid waybill --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin waybill
fi

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi

# Nothing is started, nor started anew: the tables come first. The processes of an older version go on with the new tables.
cat <<'TEXT'
Waybill is installed. To start it, or the new version of it:
  put the keys and passwords into /etc/waybill/credentials, and the settings into /etc/waybill/waybill.env
  systemctl start waybill-migrate
  systemctl enable waybill@serve && systemctl restart waybill@serve
TEXT
