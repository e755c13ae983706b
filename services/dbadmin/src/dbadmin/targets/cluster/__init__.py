"""Targets from Kubernetes: what its Ingresses and HTTPRoutes publish."""
