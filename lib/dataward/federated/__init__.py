"""Federated training: sites keep their rows, a coordinator sees masked sums."""
