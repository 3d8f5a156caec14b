#!/bin/sh
# Creates Waybill's namespace and its search attributes; docker-compose runs it in the admin-tools image. `make run`
# does the same in Go (scripts/stack/namespace.go). Running it again is harmless.
set -eu

namespace=${1:?usage: setup-namespace.sh <namespace>}
tries=60

# Services learn of a new namespace within seconds, so the next step may have to wait for the one before.
until temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1; do
  temporal operator namespace create --namespace "$namespace" --retention 36h || true
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "namespace $namespace could not be created: see the log of service temporal" >&2; exit 1; }
  sleep 1
done

# WaybillStatus had one value before it had several. Temporal does not change a type in place.
if temporal operator search-attribute list --namespace "$namespace" | grep -Eq 'WaybillStatus[[:space:]]+Keyword[[:space:]]*$'; then
  temporal operator search-attribute remove --namespace "$namespace" --name WaybillStatus --yes
fi

until temporal operator search-attribute create --namespace "$namespace" \
  --name WaybillTenant --type Keyword \
  --name WaybillEventType --type Keyword \
  --name WaybillEndpoints --type KeywordList \
  --name WaybillStatus --type KeywordList; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "the search attributes could not be created: see the log of service temporal" >&2; exit 1; }
  sleep 1
done
