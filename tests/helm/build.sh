#!/usr/bin/env bash
# Builds helm, and what reads and evaluates PromQL, from their Go modules, takes the CRDs of the Prometheus operator
# out of its own, and prints the folder.
# What was built stays under ~/.cache/tocsin-test, by all that it is made of: minutes once, then nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
version=v3.19.5
kubernetes=34 # what a chart is rendered for where no cluster is asked
files=("$here"/go.{mod,sum} "$here"/promql/{go.mod,go.sum,main.go,fire.go} "$here"/operator/go.{mod,sum})
hash="$(cat "${files[@]}" "$here/build.sh" | sha256sum | cut -c1-16)"
out="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin-test/helm-$hash"
if [ ! -x "$out/helm" ]; then # moved in last
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
  operator=github.com/prometheus-operator/prometheus-operator
  (cd "$here/operator" && go mod download "$operator")
  source="$(cd "$here/operator" && go list -m -f '{{.Dir}}' "$operator")/example/prometheus-operator-crd"
  mkdir -p "$out/crds"
  for kind in servicemonitors podmonitors prometheusrules; do
    install -m 644 "$source/monitoring.coreos.com_$kind.yaml" "$out/crds"
  done
  mv "$build/promql" "$out"
  mv "$build/helm" "$out"
fi
echo "$out"
