"""Request pipeline, registry, admission, watch cache."""
