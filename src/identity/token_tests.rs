use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::*;
use crate::identity::scopes::Scope;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn now_s() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn ed25519(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A set with the public half of `key`.
fn jwks(id: &str, key: &SigningKey) -> Keys {
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x }] });
    Keys::of_jwks(&set.to_string()).unwrap()
}

/// A token with this header and these claims, signed by whatever `sign` does.
fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn hs256(secret: &str) -> impl Fn(&[u8]) -> Vec<u8> {
    move |message| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.chain_update(message).finalize().into_bytes().to_vec()
    }
}

fn rules() -> TokenRules {
    TokenRules {
        keys: KeySource::Url(String::new()),
        issuer: None,
        audience: None,
        user_claim: "sub".into(),
        required_claims: Vec::new(),
        staff_claims: Vec::new(),
        scope_claim: "scope".into(),
        clock_skew_s: 30,
    }
}

fn claim(name: &str, value: &str) -> Claim {
    Claim {
        name: name.into(),
        value: value.into(),
    }
}

fn check(token: &str, keys: &Keys, rules: &TokenRules) -> Result<Option<Identity>, Reason> {
    verify(token, &header(token)?, keys, rules)
}

/// What becomes of claims that are signed as they must be.
fn check_claims(claims: &Value, rules: &TokenRules) -> Result<Identity, Reason> {
    let keys = Keys::of_secret(SECRET).unwrap();
    let token = token(&json!({ "alg": "HS256" }), claims, hs256(SECRET));
    Ok(check(&token, &keys, rules)?.unwrap())
}

#[test]
fn tokens_of_the_user_service_before_work_by_settings_alone() {
    let rules = TokenRules {
        user_claim: "userId".into(),
        required_claims: vec![claim("type", "access")],
        staff_claims: vec![claim("role", "ADMIN")],
        ..rules()
    };
    let now = now_s();
    let claims = |role: &str, kind: &str| {
        json!({ "userId": "user123", "email": "u@shop.example", "role": role, "type": kind,
                "iat": now, "exp": now + 900 })
    };

    let user = check_claims(&claims("USER", "access"), &rules).unwrap();
    assert_eq!(
        (&*user.subject, user.scopes),
        ("user123", Scopes::default())
    );
    assert_eq!(user.good_until, Some(now + 930));
    let admin = check_claims(&claims("ADMIN", "access"), &rules).unwrap();
    assert_eq!(admin.scopes, Scopes::all());
    let refresh = check_claims(&claims("ADMIN", "refresh"), &rules);
    assert_eq!(refresh, Err("it lacks a required claim"));
}

#[test]
fn times_count_with_a_little_skew() {
    let now = now_s();
    let at = |exp: Value, nbf: Value| {
        let mut claims = json!({ "sub": "u" });
        for (name, value) in [("exp", exp), ("nbf", nbf)] {
            if !value.is_null() {
                claims[name] = value;
            }
        }
        check_claims(&claims, &rules()).map(|_| ())
    };
    assert_eq!(at(json!(now - 20), json!(now + 20)), Ok(()));
    assert_eq!(at(json!(now - 40), Value::Null), Err("it has expired"));
    assert_eq!(
        at(json!(now + 60), json!(now + 60)),
        Err("it is not valid yet")
    );
    assert_eq!(
        at(Value::Null, Value::Null),
        Err("it lacks exp, iss or aud")
    );
    for odd in [json!("soon"), json!(-1), json!([]), json!(true)] {
        assert!(at(odd.clone(), Value::Null).is_err(), "{odd}");
        assert!(at(json!(now + 60), odd.clone()).is_err(), "nbf {odd}");
    }
}

#[test]
fn issuer_and_audience_are_compared_where_they_are_set() {
    let rules = TokenRules {
        issuer: Some("https://id.example".into()),
        audience: Some("orders".into()),
        ..rules()
    };
    let with = |iss: Value, aud: Value| {
        let claims = json!({ "sub": "u", "exp": now_s() + 60, "iss": iss, "aud": aud });
        check_claims(&claims, &rules).map(|_| ())
    };
    let id = json!("https://id.example");
    assert_eq!(with(id.clone(), json!("orders")), Ok(()));
    assert_eq!(with(id.clone(), json!(["shop", "orders"])), Ok(()));
    assert_eq!(
        with(id.clone(), json!("shop")),
        Err("it is for another audience")
    );
    assert_eq!(
        with(json!("https://id.example/"), json!("orders")),
        Err("it has another issuer")
    );
    assert_eq!(
        with(Value::Null, json!("orders")),
        Err("it lacks exp, iss or aud")
    );
    assert_eq!(with(id, Value::Null), Err("it lacks exp, iss or aud"));
    // Nobody has said what they must be.
    let claims = json!({ "sub": "u", "exp": now_s() + 60, "iss": "x", "aud": "y" });
    assert!(check_claims(&claims, &self::rules()).is_ok());
}

#[test]
fn a_token_names_one_user_in_our_terms() {
    let user = |value: Value| {
        let claims = json!({ "sub": value, "exp": now_s() + 60 });
        check_claims(&claims, &rules()).map(|it| it.subject.to_string())
    };
    assert_eq!(user(json!("user 1")), Ok("user 1".into()));
    assert_eq!(user(json!(42)), Ok("42".into()));
    for odd in [json!(null), json!(-1), json!(1.5)] {
        assert_eq!(user(odd.clone()), Err("it names no user"), "{odd}");
    }
    for odd in [json!(["u"]), json!({ "id": "u" })] {
        assert!(user(odd.clone()).is_err(), "{odd}");
    }
    for odd in [
        json!(""),
        json!("  "),
        json!("a\u{0}b"),
        json!("u".repeat(256)),
    ] {
        assert_eq!(user(odd.clone()), Err("its user cannot be one"), "{odd}");
    }
}

#[test]
fn scopes_are_text_with_spaces_or_a_list() {
    let scopes = |value: Value| {
        let claims = json!({ "sub": "u", "exp": now_s() + 60, "scope": value });
        check_claims(&claims, &rules()).unwrap().scopes
    };
    for both in [
        json!("openid orders:read orders:events"),
        json!(["orders:read", "orders:events"]),
    ] {
        let scopes = scopes(both);
        assert!(scopes.has(Scope::OrdersRead) && scopes.has(Scope::OrdersEvents));
        assert!(!scopes.has(Scope::OrdersWrite) && !scopes.has(Scope::OrdersStatus));
    }
    for none in [
        json!(null),
        json!(7),
        json!({ "orders:read": true }),
        json!("orders:read,x"),
    ] {
        assert_eq!(scopes(none.clone()), Scopes::default(), "{none}");
    }
}

#[test]
fn staff_is_told_by_any_of_its_claims_whatever_their_type() {
    let rules = TokenRules {
        staff_claims: vec![claim("roles", "admin"), claim("staff", "true")],
        ..rules()
    };
    let is_staff = |name: &str, value: Value| {
        let claims = json!({ "sub": "u", "exp": now_s() + 60, name: value });
        check_claims(&claims, &rules).unwrap().scopes == Scopes::all()
    };
    assert!(is_staff("roles", json!("admin")));
    assert!(is_staff("roles", json!(["user", "admin"])));
    assert!(is_staff("staff", json!(true)));
    assert!(!is_staff("roles", json!("administrator")));
    assert!(!is_staff("roles", json!({ "admin": true })));
    assert!(!is_staff("Roles", json!("admin")));
    assert!(!is_staff("staff", json!(false)));
}

#[test]
fn the_key_decides_the_algorithm() {
    let key = ed25519(1);
    let keys = jwks("a", &key);
    let claims = json!({ "sub": "u", "exp": now_s() + 60 });
    let eddsa = |message: &[u8]| key.sign(message).to_vec();
    let good = json!({ "alg": "EdDSA", "kid": "a" });
    assert!(matches!(
        check(&token(&good, &claims, eddsa), &keys, &rules()),
        Ok(Some(_))
    ));

    let none = token(&json!({ "alg": "none" }), &claims, |_| Vec::new());
    assert!(check(&none, &keys, &rules()).is_err());
    // The public key as a secret, the oldest trick.
    let public = key.verifying_key();
    let confused = token(&json!({ "alg": "HS256", "kid": "a" }), &claims, |message| {
        let mac = Hmac::<Sha256>::new_from_slice(public.as_bytes()).unwrap();
        mac.chain_update(message).finalize().into_bytes().to_vec()
    });
    assert_eq!(
        check(&confused, &keys, &rules()),
        Err("its algorithm is not the one of a key")
    );
    let wrong = token(&good, &claims, |message| ed25519(2).sign(message).to_vec());
    assert_eq!(
        check(&wrong, &keys, &rules()),
        Err("its signature is wrong")
    );
    let critical = json!({ "alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false });
    let critical = token(&critical, &claims, eddsa);
    assert_eq!(
        check(&critical, &keys, &rules()),
        Err("it has critical extensions")
    );
}

#[test]
fn a_key_that_is_not_known_may_be_in_a_newer_set() {
    let key = ed25519(1);
    let keys = jwks("a", &key);
    let claims = json!({ "sub": "u", "exp": now_s() + 60 });
    let with = |header: Value| {
        let token = token(&header, &claims, |message| key.sign(message).to_vec());
        check(&token, &keys, &rules())
    };
    assert_eq!(with(json!({ "alg": "EdDSA", "kid": "b" })), Ok(None));
    assert!(matches!(with(json!({ "alg": "EdDSA" })), Ok(Some(_))));
    // Nothing that a set could bring would make it good.
    assert!(with(json!({ "alg": "HS256", "kid": "b" })).is_err());
    assert!(with(json!({ "alg": "PS256", "kid": "b" })).is_err());
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let keys = Keys::of_secret(SECRET).unwrap();
    let claims = json!({ "sub": "u", "exp": now_s() + 60 });
    let good = token(&json!({ "alg": "HS256" }), &claims, hs256(SECRET));
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        let result = check(&changed, &keys, &rules());
        // The last character of a part has bits that say nothing.
        assert!(
            result.is_err() || changed.len() - at <= 1,
            "at {at}: {result:?}"
        );
    }
    for odd in [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        "\u{e9}.\u{e9}.\u{e9}",
        &"a".repeat(9000),
    ] {
        assert!(check(odd, &keys, &rules()).is_err(), "{odd}");
    }
}
