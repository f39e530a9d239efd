"""The functions that Kubernetes adds to the language, one module per library.

Source: `k8s.io/apiserver/pkg/cel/library`.
"""
