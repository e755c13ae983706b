"""What tests of alert-svc share."""
