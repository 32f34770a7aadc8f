"""Access: who may do what, least-privilege IAM, audit events."""
