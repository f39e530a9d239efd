"""Custom resources: what a CustomResourceDefinition may say, and the kind that it brings.

definition        the kind CustomResourceDefinition: its checks and strategy
definition_rules  names, versions, columns, subresources of a definition
structural_rules  is a schema structural?
rule_checks       do its CEL rules compile, and what may they cost? (rule_fields, rule_cost)
names             which names are accepted, and the conditions that say so
kinds             from a definition to the record of its kind
structural        pruning and defaulting of objects
values, formats   are the values of an object those that its schema allows?
rules             the CEL rules of an object
columns, custom_scale, json_path, strategy    what the record of a custom resource is made of

Servers follow definitions in `apiserver/custom_resources.py`, clients in
`client/custom_resources.py`.
"""
