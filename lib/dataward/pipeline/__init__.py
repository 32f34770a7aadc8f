"""The way of the data: publish and its stages."""
