use super::*;

fn allows(entries: &[&str], address: &str, scheme: &str) -> bool {
    AllowedHosts::parse(entries)
        .unwrap()
        .allows(address, scheme)
}

#[test]
fn scheme_host_and_port_must_all_match() {
    let entries = ["http://api.test:8080"];
    assert!(allows(&entries, "http://api.test:8080/path?query", "https"));
    assert!(!allows(&entries, "https://api.test:8080", "https"));
    assert!(!allows(&entries, "http://other.test:8080", "https"));
    assert!(!allows(&entries, "http://api.test", "https"));
}

#[test]
fn nothing_is_allowed_without_an_entry() {
    assert!(!allows(&[], "http://api.test", "https"));
}

#[test]
fn the_usual_port_counts_when_none_is_given() {
    assert!(allows(&["postgres://db"], "db:5432", "postgres"));
    assert!(allows(&["postgres://db:5432"], "db", "postgres"));
    assert!(allows(&["redis://cache"], "redis://cache:6379/1", "redis"));
    assert!(!allows(&["redis://cache"], "redis://cache:6380", "redis"));
}

#[test]
fn a_password_plays_no_part() {
    let entries = ["redis://cache:6379"];
    assert!(allows(&entries, "redis://:p@ss#w%rd@cache:6379/0", "redis"));
    assert!(!allows(
        &entries,
        "redis://cache:6379@evil.test:6379/0",
        "redis"
    ));
    assert!(!allows(
        &entries,
        "redis://evil.test:6379/cache:6379",
        "redis"
    ));
}

#[test]
fn wildcards_stand_for_schemes_hosts_subdomains_and_ports() {
    assert!(allows(&["*://*:*"], "redis://anything:1", "redis"));
    assert!(allows(&["http://*.test"], "http://a.b.test", "https"));
    assert!(!allows(&["http://*.test"], "http://test", "https"));
    assert!(allows(
        &["http://api:8000..8002"],
        "http://api:8001",
        "https"
    ));
    assert!(!allows(
        &["http://api:8000..8002"],
        "http://api:8002",
        "https"
    ));
}

#[test]
fn networks_match_addresses_inside_them() {
    assert!(allows(
        &["http://10.1.0.0/16:*"],
        "http://10.1.255.1:80",
        "https"
    ));
    assert!(!allows(
        &["http://10.1.0.0/16:*"],
        "http://10.2.0.1:80",
        "https"
    ));
    assert!(!allows(&["http://10.1.0.0/16:*"], "http://api:80", "https"));
    assert!(allows(&["http://[::1]:80"], "http://[::1]:80", "https"));
}

#[test]
fn requests_to_itself_need_an_entry_of_their_own() {
    let itself = |entries: &[&str]| {
        AllowedHosts::parse(entries)
            .unwrap()
            .allows_itself(&["http"])
    };
    assert!(itself(&["http://self"]));
    assert!(itself(&["*://*:*"]));
    assert!(!itself(&["http://127.0.0.1:8003"]));
}

#[test]
fn malformed_entries_are_refused() {
    for entry in [
        "api.test",
        "http://api.test/path",
        "h1://api:1",
        "ftp://api",
        "http://a*b:1",
        "http://api:x",
    ] {
        assert!(AllowedHosts::parse(&[entry]).is_err(), "{entry}");
    }
}
