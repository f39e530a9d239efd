"""The API as OpenAPI documents, made from the scheme: `/openapi/v2` and `/openapi/v3`.

operations   what can be asked: paths, methods, parameters, from the scheme
schemas      the forms of objects, in the dialect of each version
documents    both together
protobuf     a version 2 document as protobuf, which clients read faster
"""
