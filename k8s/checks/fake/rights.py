"""Who may do what: the roles that lie in the cluster. `admin` may everything."""

DEPLOYER = {("Group", "order-deployers"), ("ServiceAccount", "order-deployer")}


def may(store, user: str, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
    if user == "admin":
        return True
    return any(_allows(rule, verb, group, resource, name) for rule in _rules(store, namespace))


def _rules(store, namespace: str):
    bindings = [("clusterroles", "", b) for b in store.all("clusterrolebindings")]
    if namespace:
        bindings += [("roles", namespace, b) for b in store.all("rolebindings", namespace)]
    for resource, where, binding in bindings:
        subjects = {(s["kind"], s["name"]) for s in binding["subjects"]}
        role = store.find(resource, where, binding["roleRef"]["name"])
        if role and subjects & DEPLOYER:
            yield from role["rules"]


def _allows(rule: dict, verb: str, group: str, resource: str, name: str) -> bool:
    return (
        verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"]
        and (not rule.get("resourceNames") or name in rule["resourceNames"])
    )
