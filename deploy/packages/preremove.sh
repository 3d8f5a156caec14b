#!/bin/sh
# Runs before a removal, and before an upgrade, which must not stop what runs: dpkg says "remove" and rpm 0 for a removal.
set -eu
case "${1:-}" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now waybill@serve waybill@api waybill@worker || true
    fi
    ;;
esac
