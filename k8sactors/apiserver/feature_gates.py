"""Feature gates: `--feature-gates NAME=BOOL,...` as the real server takes it.

The table names gates of the release with stage and default; `LOCKED` cannot be changed. Three of
them switch something here; a switch for something that does not exist here changes nothing. Source:
reference of feature gates; KEP-5241 for the metric `kubernetes_feature_enabled`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

# What these switch: `connections.py`, `server.py`, and which admission plugins run.
WEBSOCKET_CREATE: Final = "AuthorizePodWebsocketUpgradeCreatePermission"
WATCH_LIST: Final = "WatchList"
MUTATING_POLICY: Final = "MutatingAdmissionPolicy"
SWITCHES: Final = (WEBSOCKET_CREATE, WATCH_LIST, MUTATING_POLICY)

ALPHA, BETA, GA, DEPRECATED = "ALPHA", "BETA", "", "DEPRECATED"
_ALL: Final = {"AllAlpha": ALPHA, "AllBeta": BETA}

_LOCKED: Final = """
APIServerTracing AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeNodeWithSelectors
AuthorizeWithSelectors BtreeWatchCache CPUManagerPolicyOptions CRDValidationRatcheting
CSIMigrationPortworx ConsistentListFromCache CustomResourceFieldSelectors DRAAdminAccess
DynamicResourceAllocation HonorPVReclaimPolicy InPlacePodVerticalScaling JobBackoffLimitPerIndex
JobManagedBy JobPodReplacementPolicy JobSuccessPolicy KubeletTracing ListFromCacheSnapshot
MatchLabelKeysInPodAffinity MultiCIDRServiceAllocator NodeInclusionPolicyInPodTopologySpread
OrderedNamespaceDeletion PodLifecycleSleepAction PodObservedGenerationTracking
PodSchedulingReadiness RecoverVolumeExpansionFailure RelaxedEnvironmentVariableValidation
ResilientWatchCacheInitialization RetryGenerateName SELinuxMountReadWriteOncePod
SeparateCacheWatchRPC ServiceAccountTokenJTI ServiceAccountTokenNodeBinding
ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo ServiceTrafficDistribution
SidecarContainers StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf
StructuredAuthenticationConfiguration StructuredAuthorizationConfiguration SupplementalGroupsPolicy
TopologyAwareHints VolumeAttributesClass WatchCacheInitializationPostStartHook WinDSR WinOverlay
"""
_GA: Final = """
DisableAllocatorDualWrite ExecProbeTimeout ImageVolume MutatingAdmissionPolicy PodHostnameOverride
ProcMountType UserNamespacesSupport
"""
_BETA_ON: Final = """
APIResponseCompression APIServerIdentity AllowParsingUserUIDFromCertAuth
AuthorizePodWebsocketUpgradeCreatePermission CPUManagerPolicyBetaOptions
CSIServiceAccountTokenSecrets ClearingNominatedNodeNameAfterBinding ContainerCheckpoint
ContainerRestartRules ContextualLogging DRAConsumableCapacity DRAPartitionableDevices
DRAPrioritizedList DRAResourceClaimDeviceStatus DRASchedulerFilterTimeout DeclarativeValidation
DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency DisableCPUQuotaWithExclusiveCPUs
EnvFiles ExternalServiceAccountTokenSigner GracefulNodeShutdown
GracefulNodeShutdownBasedOnPodPriority HPAConfigurableTolerance ImageMaximumGCAge
KubeletCgroupDriverFromCRI KubeletCrashLoopBackOffMax KubeletEnsureSecretPulledImages
KubeletPodResourcesDynamicResources KubeletPodResourcesGet KubeletSeparateDiskGC
KubeletServiceAccountTokenForCredentialProviders LogarithmicScaleDown
MatchLabelKeysInPodTopologySpread MaxUnavailableStatefulSet MemoryManager
MutableCSINodeAllocatableCount NominatedNodeNameForExpectation OpenAPIEnums PodLevelResources
PodLogsQuerySplitStreams PodReadyToStartContainersCondition PodTopologyLabelsAdmission
PreferSameTrafficDistribution ReduceDefaultCrashLoopBackOffDecay RelaxedDNSSearchValidation
RelaxedServiceNameValidation RemoteRequestHeaderUID ReloadKubeletServerCertificateFile
RotateKubeletServerCertificate SchedulerAsyncAPICalls SchedulerAsyncPreemption
SchedulerPopFromBackoffQ SchedulerQueueingHints SizeBasedListCostEstimate StorageCapacityScoring
StorageNamespaceIndex StructuredAuthenticationConfigurationEgressSelector
StructuredAuthenticationConfigurationJWKSMetrics SystemdWatchdog
TokenRequestServiceAccountUIDValidation TopologyManagerPolicyBetaOptions
TranslateStreamCloseWebsocketRequests UnauthenticatedHTTP2DOSMitigation
UnknownVersionInteroperabilityProxy WatchFromStorageWithoutResourceVersion WatchList WatchListClient
WinDSRSupport
"""
_BETA_OFF: Final = """
CRDObservedGenerationTracking ClusterTrustBundle ClusterTrustBundleProjection
ConcurrentWatchObjectDecode CoordinatedLeaderElection DeclarativeValidationTakeover
InPlacePodVerticalScalingAllocatedStatus NodeSwap PodCertificateRequest RecursiveReadOnlyMounts
SELinuxMount StorageVersionMigrator UserNamespacesPodSecurityStandards
"""
_ALPHA: Final = """
APIServingWithRoutine AllowUnsafeMalformedObjectDeletion CBORServingAndStorage
CPUManagerPolicyAlphaOptions CSIVolumeHealth ClientsAllowCBOR ClientsPreferCBOR
CloudControllerManagerWatchBasedRoutesReconciliation CloudControllerManagerWebhook ComponentFlagz
ComponentStatusz ConstrainedImpersonation ContainerStopSignals CrossNamespaceVolumeDataSource
CustomCPUCFSQuotaPeriod DRADeviceBindingConditions DRADeviceTaints DRAExtendedResource EventedPLEG
GangScheduling GenericWorkload HPAScaleToZero InPlacePodVerticalScalingExclusiveCPUs
InTreePluginPortworxUnregister KubeletInUserNamespace KubeletPSI MemoryQoS MutablePVNodeAffinity
MutablePodResourcesForSuspendedJobs NodeDeclaredFeatures NodeLogQuery OpportunisticBatching
PodLevelResourceManagers PodLogsQuery QOSReserved ResourceHealthStatus RuntimeClassInImageCriApi
StatefulSetSemanticRevisionComparison StorageVersionAPI StorageVersionHash
TaintTolerationComparisonOperators TopologyManagerPolicyAlphaOptions WindowsCPUAndMemoryAffinity
WindowsGracefulNodeShutdown
"""
_DEPRECATED_OFF: Final = """
AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests AllowServiceLBStatusOnNonLB
GitRepoVolumeDriver KMSv1 StrictCostEnforcementForVAP
"""
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Gate(NamedTuple):
    """A gate: its stage, and what it is unless set."""

    stage: str
    default: bool
    locked: bool = False


def _table() -> dict[str, Gate]:
    parts = (
        (_LOCKED, Gate(GA, True, True)),
        (_GA, Gate(GA, True)),
        (_BETA_ON, Gate(BETA, True)),
        (_BETA_OFF, Gate(BETA, False)),
        (_ALPHA, Gate(ALPHA, False)),
        (_DEPRECATED_OFF, Gate(DEPRECATED, False)),
    )
    found = {name: gate for text, gate in parts for name in text.split()}
    found.update({name: Gate(stage, False) for name, stage in _ALL.items()})
    return dict(sorted(found.items()))


GATES: Final[Mapping[str, Gate]] = _table()


def feature_gate_problems(given: Mapping[str, str]) -> list[str]:
    """Why the real server refuses these settings, in its words; none: they are good."""
    found = []
    for name, text in given.items():
        gate = GATES.get(name)
        if not text:
            found.append(f"missing bool value for {name}")
        elif text not in _TRUE and text not in _FALSE:
            reason = f'strconv.ParseBool: parsing "{text}": invalid syntax'
            found.append(f"invalid value of {name}={text}, err: {reason}")
        elif gate is None:
            found.append(f"unrecognized feature gate: {name}")
        elif gate.locked and (text in _TRUE) != gate.default:
            wanted, locked = _shown(text in _TRUE), _shown(gate.default)
            found.append(
                f"cannot set feature gate {name} to {wanted}, feature is locked to {locked}"
            )
    return found


def _shown(value: bool) -> str:
    return "true" if value else "false"


def is_enabled(given: Mapping[str, str], name: str) -> bool:
    """Whether a gate of the table is on."""
    return enabled_features(given)[name] if given else GATES[name].default


def enabled_features(given: Mapping[str, str]) -> dict[str, bool]:
    """Every gate with what it is; the settings have no problems."""
    found = {name: gate.default for name, gate in GATES.items()}
    for every, stage in _ALL.items():
        if every in given:
            on = given[every] in _TRUE
            found.update({name: on for name, gate in GATES.items() if gate.stage == stage})
    found.update({name: text in _TRUE for name, text in given.items()})
    return found


def exposition(given: Mapping[str, str]) -> Iterator[str]:
    """The metric that tells which gates are on, in Prometheus' text format."""
    name = "kubernetes_feature_enabled"
    yield (
        f"# HELP {name} [BETA] This metric records the data about the stage and enablement of a "
        "k8s feature."
    )
    yield f"# TYPE {name} gauge"
    for feature, on in sorted(enabled_features(given).items()):
        labels = f'name="{feature}",stage="{GATES[feature].stage}"'
        yield f"{name}{{{labels}}} {int(on)}"
