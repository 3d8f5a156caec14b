#!/bin/sh
# Makes what packages have beside the binary, in .waybill/package: manual pages and completions, by the command itself. goreleaser runs it
# before it builds.
set -eu
cd "$(dirname "$0")/../.."
out=.waybill/package
rm -rf "$out"
mkdir -p "$out/completions"
go build -o "$out/waybill" ./cmd/waybill
"$out/waybill" man "$out/man"
gzip -9 -n "$out"/man/*
for shell in bash zsh fish; do
  "$out/waybill" completion "$shell" > "$out/completions/waybill.$shell"
done
rm "$out/waybill"
