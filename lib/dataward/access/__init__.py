"""Access: permissions, least-privilege IAM, audit events."""
