"""The fault catalogue: one injector per file, and the plan that schedules them."""
