"""Those of test_mistakes.py that concern Postgres on three boards."""

BOARDS = "overlays/cloudnativepg"


def get(objects, kind, name):
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def settings(objects):
    return next(o for o in objects if "product_service_url" in o.get("data", {}))["data"]


def policy(objects, name):
    return get(objects, "NetworkPolicy", name)["spec"]


def database(objects):
    return get(objects, "Cluster", "order-database")["spec"]


def unknown_field_in_a_cluster(o):
    database(o)["postgresql"]["synchronous"]["numbers"] = 1


def unknown_field_in_a_store(o):
    get(o, "ObjectStore", "order-database")["spec"]["configuration"]["bucket"] = "orders"


def two_instances_on_one_board(o):
    database(o)["affinity"]["podAntiAffinityType"] = "preferred"


def commits_that_no_standby_has(o):
    del database(o)["postgresql"]["synchronous"]


def database_without_an_archive(o):
    database(o)["plugins"] = []


def database_without_backups(o):
    o.remove(get(o, "ScheduledBackup", "order-database"))


def role_with_the_password_of_another(o):
    database(o)["managed"]["roles"][1]["passwordSecret"]["name"] = "order-database-migrations"


def roles_that_nobody_makes(o):
    database(o)["bootstrap"]["initdb"]["postInitApplicationSQLRefs"]["configMapRefs"][0]["key"] = "role.sql"


def archive_without_keys(o):
    store = get(o, "ObjectStore", "order-database")["spec"]["configuration"]
    store["s3Credentials"]["accessKeyId"]["key"] = "ACCESS_KEY_ID"


def database_that_lets_out_to_the_world(o):
    policy(o, "order-database")["egress"][2]["ports"].append({"port": 80, "protocol": "TCP"})


def database_that_the_operator_cannot_reach(o):
    policy(o, "order-database")["ingress"][1]["from"].pop()


def monitor_of_another_port(o):
    get(o, "PodMonitor", "order-database")["spec"]["podMetricsEndpoints"][0]["port"] = "metrics-https"


def lists_from_the_primary_as_a_replica(o):
    settings(o)["database_read_host"] = "order-database-rw:5432"


MISTAKES = [
    (BOARDS, unknown_field_in_a_cluster, "schema", "numbers"),
    (BOARDS, unknown_field_in_a_store, "schema", "bucket"),
    (BOARDS, two_instances_on_one_board, "a_board_may_fail", "one board"),
    (BOARDS, commits_that_no_standby_has, "a_board_may_fail", "does not wait"),
    (BOARDS, database_without_an_archive, "a_board_may_fail", "not archived"),
    (BOARDS, database_without_backups, "a_board_may_fail", "no scheduled backup"),
    (BOARDS, role_with_the_password_of_another, "secrets_of_the_database_exist", "order_service"),
    (BOARDS, roles_that_nobody_makes, "secrets_of_the_database_exist", "role.sql"),
    (BOARDS, lists_from_the_primary_as_a_replica, "hosts_agree_with_urls", "order-database-ro"),
    (BOARDS, archive_without_keys, "secrets_of_the_database_exist", "ACCESS_KEY_ID"),
    (BOARDS, database_that_lets_out_to_the_world, "rules_are_narrow", "range"),
    (BOARDS, database_that_the_operator_cannot_reach, "flows_are_those_expected", "cloudnative-pg"),
    (BOARDS, monitor_of_another_port, "monitors_lead_to_services", "metrics-https"),
]
