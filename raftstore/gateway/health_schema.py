"""Messages of gRPC's health service, after ``grpc/health/v1/health.proto``.

Written as in `raftstore.gateway.schema`.
"""

from __future__ import annotations

from typing import Final

HEALTH_ENUMS: Final = {
    "HealthCheckResponse.ServingStatus": ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
}
HEALTH_MESSAGES: Final = {
    "HealthCheckRequest": """
        string service = 1
    """,
    "HealthCheckResponse": """
        HealthCheckResponse.ServingStatus status = 1
    """,
}
