#!/usr/bin/env bash
# Builds helm and a reader of PromQL from their Go modules and prints the folder.
# What was built stays under ~/.cache/tocsin-test, by all that it is made of: minutes once, then nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
version=v3.19.5
kubernetes=34 # what a chart is rendered for where no cluster is asked
hash="$(cat "$here"/go.{mod,sum} "$here"/promql/{go.mod,go.sum,main.go} "$here/build.sh" | sha256sum | cut -c1-16)"
out="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin-test/helm-$hash"
if [ ! -x "$out/helm" ] || [ ! -x "$out/promql" ]; then
  mkdir -p "$out"
  exec 9>"$out.lock"
  flock 9 # one builder at a time
  build="$(mktemp -d "$out/build.XXXXXX")"
  trap 'rm -rf "$build"' EXIT
  flags="-s -w -X helm.sh/helm/v3/internal/version.version=$version"
  for package in chartutil lint/rules; do
    flags+=" -X helm.sh/helm/v3/pkg/$package.k8sVersionMajor=1"
    flags+=" -X helm.sh/helm/v3/pkg/$package.k8sVersionMinor=$kubernetes"
  done
  (cd "$here" && go build -trimpath -ldflags "$flags" -o "$build/helm" helm.sh/helm/v3/cmd/helm) >&2
  (cd "$here/promql" && go build -trimpath -ldflags "-s -w" -o "$build/promql" .) >&2
  mv "$build/helm" "$build/promql" "$out"
fi
echo "$out"
