"""The faults: one module each, which holds its record as `FAULT`."""
