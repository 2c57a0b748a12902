#!/usr/bin/env bash
# Builds helm from its Go module and prints the path of the program.
# What was built stays under ~/.cache/tocsin-test, by go.mod, go.sum and this file: minutes once, then nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
version=v3.19.5
kubernetes=34 # what a chart is rendered for where no cluster is asked
hash="$(cat "$here/go.mod" "$here/go.sum" "$here/build.sh" | sha256sum | cut -c1-16)"
out="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin-test/helm-$hash"
if [ ! -x "$out/helm" ]; then
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
  mv "$build/helm" "$out"
fi
echo "$out/helm"
