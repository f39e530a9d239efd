"""The conditions of `expect`: one module each, which holds its record as `CONDITION`."""
