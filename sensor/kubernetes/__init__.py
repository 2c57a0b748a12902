"""Acting on Kubernetes objects: what triggers `k8s` and `argoWorkflow` have in common."""
