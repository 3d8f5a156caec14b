#!/bin/sh
# Adds to .env what docker-compose.yml needs and .env does not have yet: every key and password, made at random. What has a value stays, so
# running it again is harmless. With the argument "demo" it also turns on the demo receiver, and lets Waybill call it.
set -eu
umask 077

case "${1:-}" in
  '' | demo) ;;
  *) echo "usage: $0 [demo]" >&2; exit 2 ;;
esac

cd "$(dirname "$0")/../.."
touch .env
chmod 600 .env
# What is added must not end up in the last line of a file that somebody wrote by hand.
[ -z "$(tail -c 1 .env)" ] || echo >> .env

# The value that docker compose reads, of several the last, with its quotes.
value() { sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*//p" .env | tail -n 1; }
add() {
  case "$(value "$1")" in
    '' | "''" | '""') printf '%s=%s\n' "$1" "$2" >> .env ;;
  esac
}
hex() { od -An -v -tx1 -N 32 /dev/urandom | tr -d ' \n'; }

add WAYBILL_API_KEY "$(hex)"
add WAYBILL_ENCRYPTION_KEYS "k1:$(head -c 32 /dev/urandom | base64)"
add POSTGRES_PASSWORD "$(hex)"
add TEMPORAL_PASSWORD "$(hex)"
add WAYBILL_OWNER_PASSWORD "$(hex)"
add WAYBILL_APP_PASSWORD "$(hex)"

if [ "${1:-}" = demo ]; then
  subnet=$(value DEMO_SUBNET | tr -d "'\"")
  add COMPOSE_PROFILES demo
  add WAYBILL_ALLOW_HTTP true
  add WAYBILL_EGRESS_ALLOW_CIDRS "${subnet:-172.30.57.0/28}:8090"
fi
