"""What is in `infra/observability`, and the metrics that it is made from."""
