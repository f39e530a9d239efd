"""The steps of a scenario: one module each, which holds its record as `STEP`."""
