// Nothing of it is built: its CRDs are what monitors and alerts are tried against.
module tocsin.test/operator

go 1.24.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
