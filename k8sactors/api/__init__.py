"""Object kinds as data: scheme, schema, defaulting, validation, selectors, quantities, patches."""
