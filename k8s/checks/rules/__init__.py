"""Rules that a rendered overlay must keep. A rule takes a Cluster and yields one line for
each violation; ALL is the list of them."""

from rules import flows, hardening, operator, outages, references, settings

ALL = [
    references.names_are_unique_and_namespaced,
    references.keys_exist,
    references.secrets_of_the_database_exist,
    references.volumes_exist,
    references.accounts_exist,
    references.services_lead_to_pods,
    references.ways_in_lead_to_services,
    references.scalers_and_budgets_have_targets,
    references.monitors_lead_to_services,
    flows.everything_is_denied_first,
    flows.rules_are_narrow,
    flows.policies_cover_pods,
    flows.both_ends_agree,
    flows.flows_are_those_expected,
    flows.addresses_are_reachable,
    hardening.nothing_runs_as_root,
    hardening.containers_are_confined,
    hardening.resources_are_bounded,
    hardening.images_are_pinned,
    hardening.namespaces_enforce_a_standard,
    operator.executor_is_in_the_namespace,
    operator.replicas_have_one_owner,
    operator.limits_are_in_order,
    operator.connections_suffice,
    outages.requests_in_flight_are_bounded,
    outages.rollouts_lose_nothing,
    outages.a_board_may_fail,
    settings.variables_are_those_of_the_manifest,
    settings.hosts_agree_with_urls,
    settings.probes_are_routes,
    settings.runtime_config_is_the_same,
]


def problems(cluster) -> list[str]:
    return [f"{rule.__name__}: {line}" for rule in ALL for line in rule(cluster)]
