"""The one object that an embedding program holds."""
