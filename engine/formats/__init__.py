"""File formats: what the connectors for local files and for object storage share."""
