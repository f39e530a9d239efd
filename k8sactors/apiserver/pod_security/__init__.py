"""The Pod Security Standards: levels, their checks, and what a pod violates."""
