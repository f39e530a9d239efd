"""What the controllers share: the base class, ownership of objects, pods, taints, Services' pods.

A controller imports from here and never from another controller.
"""
