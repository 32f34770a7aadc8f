"""What measures metrics. An engine takes a frame and a set of metrics and gives their values."""
