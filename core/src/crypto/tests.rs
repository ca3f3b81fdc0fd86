use super::vectors::{TestKey, VECTORS, decode};
use super::*;
use crate::error::KeyFlaw;

/// Every provider that this build has. All of them must do the same.
pub(crate) fn providers() -> Vec<(&'static str, &'static dyn Crypto)> {
    vec![
        #[cfg(feature = "aws-lc-rs")]
        ("aws-lc-rs", &AwsLc),
        #[cfg(feature = "rust-crypto")]
        ("rust-crypto", &RustCrypto),
    ]
}

/// Whether every vector that `picked` names comes out as it must, with every provider.
fn check(picked: impl Fn(&str) -> bool, at_least: usize) {
    let vectors: Vec<_> = VECTORS.iter().filter(|vector| picked(vector.name)).collect();
    assert!(vectors.len() >= at_least, "only {} vectors are left", vectors.len());
    for (provider, crypto) in providers() {
        for vector in &vectors {
            let key = crypto.import(&vector.key.public()).unwrap();
            let verifies = key.verifies(vector.algorithm, vector.message.as_bytes(), &decode(vector.signature));
            assert_eq!(verifies, vector.verifies, "{provider}: {}", vector.name);
        }
    }
}

#[test]
fn signatures_of_the_rfcs_verify() {
    check(|name| name.starts_with("RFC "), 6);
}

#[test]
fn jw_16_impossible_ecdsa_signatures_are_refused() {
    check(|name| name.starts_with("ECDSA"), 20);
}

#[test]
fn jw_17_forged_rsa_padding_and_wrong_pss_salts_are_refused() {
    check(|name| name.starts_with("PKCS1") || name.starts_with("PSS") || name.starts_with("RSA "), 35);
}

#[test]
fn impossible_ed25519_signatures_are_refused() {
    check(|name| name.starts_with("Ed25519"), 8);
}

#[test]
fn no_vector_is_left_out() {
    let families = ["RFC ", "ECDSA", "PKCS1", "PSS", "RSA ", "Ed25519"];
    assert!(VECTORS.iter().all(|vector| families.iter().any(|family| vector.name.starts_with(family))));
}

#[test]
fn keys_refuse_the_algorithms_of_other_keys() {
    for (provider, crypto) in providers() {
        for vector in VECTORS.iter().filter(|vector| vector.verifies) {
            let key = crypto.import(&vector.key.public()).unwrap();
            let signature = decode(vector.signature);
            for algorithm in SignatureAlgorithm::ALL.into_iter().filter(|other| *other != vector.algorithm) {
                assert!(
                    !key.verifies(algorithm, vector.message.as_bytes(), &signature),
                    "{provider}: {} as {algorithm}",
                    vector.name
                );
            }
        }
    }
}

fn rsa(bits: usize, e: &[u8]) -> Result<PublicKey, KeyFlaw> {
    let mut n = vec![0xff; bits.div_ceil(8)];
    if let Some(first) = n.first_mut() {
        *first >>= bits.next_multiple_of(8).saturating_sub(bits);
    }
    PublicKey::rsa(&n, e)
}

const F4: &[u8] = &[1, 0, 1];

#[test]
fn jw_14_rsa_keys_of_impossible_size_are_weak() {
    for bits in [0, 8, 512, 1024, 2040, 2047, 8193, 8200, 16384, 65536] {
        let flaw = if bits == 0 { KeyFlaw::Malformed } else { KeyFlaw::Weak };
        assert_eq!(rsa(bits, F4).unwrap_err(), flaw, "{bits} bits");
    }
    for bits in [2048, 2049, 3072, 4096, 8192] {
        let key = rsa(bits, F4).unwrap();
        for (provider, crypto) in providers() {
            assert!(crypto.import(&key).is_ok(), "{provider}: {bits} bits");
        }
    }
}

#[test]
fn jw_14_rsa_keys_with_impossible_exponents_are_weak() {
    let huge = [1; 256];
    for e in [&[][..], &[0], &[1], &[2], &[4], &[1, 0, 0], &[2, 0, 0, 0, 1], &huge, &[0, 0, 1]] {
        assert_eq!(rsa(2048, e).unwrap_err(), KeyFlaw::Weak, "{e:?}");
    }
    for e in [&[3][..], &[17], F4, &[0, 1, 0, 1], &[0xff, 0xff, 0xff, 0xff], &[1, 0, 0, 0, 1]] {
        let key = rsa(2048, e).unwrap();
        for (provider, crypto) in providers() {
            assert!(crypto.import(&key).is_ok(), "{provider}: {e:?}");
        }
    }
}

#[test]
fn rsa_modulus_that_is_even_is_malformed() {
    let mut n = vec![0xff; 256];
    n[255] = 0xfe;
    assert_eq!(PublicKey::rsa(&n, F4).unwrap_err(), KeyFlaw::Malformed);
}

#[test]
fn rsa_modulus_may_have_leading_zeros() {
    let plain = PublicKey::rsa(&[0xff; 256], F4).unwrap();
    assert_eq!(PublicKey::rsa(&[&[0, 0][..], &[0xff; 256]].concat(), F4).unwrap(), plain);
}

#[test]
fn jw_15_points_off_their_curve_are_malformed() {
    let joe = VECTORS.iter().find_map(|vector| match vector.key {
        TestKey::Ec { curve: Curve::P256, x, y } => Some((decode(x), decode(y))),
        _ => None,
    });
    let (x, y) = joe.unwrap();
    let mut other = y.clone();
    other[31] ^= 1;
    let prime = [&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1][..], &[0; 12], &[0xff; 12]].concat();
    let rows: [(&str, Curve, Vec<u8>, Vec<u8>); 7] = [
        ("off the curve", Curve::P256, x.clone(), other),
        ("infinity", Curve::P256, vec![0; 32], vec![0; 32]),
        ("coordinates exchanged", Curve::P256, y.clone(), x.clone()),
        ("beyond the field", Curve::P256, prime.clone(), y.clone()),
        ("beyond the field too", Curve::P256, vec![0xff; 32], vec![0xff; 32]),
        ("another curve's length", Curve::P384, [&[0; 16][..], &x].concat(), [&[0; 16][..], &y].concat()),
        ("another curve's length too", Curve::P521, [&[0; 34][..], &x].concat(), [&[0; 34][..], &y].concat()),
    ];
    for (name, curve, x, y) in rows {
        let key = PublicKey::ec(curve, &x, &y).unwrap();
        for (provider, crypto) in providers() {
            assert_eq!(crypto.import(&key).map(drop), Err(KeyFlaw::Malformed), "{provider}: {name}");
        }
    }
}

#[test]
fn jw_15_coordinates_of_the_wrong_length_are_malformed() {
    for (x, y) in [(31, 32), (32, 31), (33, 33), (0, 0), (64, 0), (48, 48)] {
        assert_eq!(PublicKey::ec(Curve::P256, &vec![1; x], &vec![1; y]), Err(KeyFlaw::Malformed), "{x}, {y}");
    }
    for len in [0, 31, 33, 64] {
        assert_eq!(PublicKey::ed25519(&vec![1; len]), Err(KeyFlaw::Malformed), "{len}");
    }
}

#[test]
fn ed25519_points_of_small_order_are_weak() {
    let small = [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
        "7P_______________________________________38",
    ];
    for x in small {
        assert_eq!(PublicKey::ed25519(&decode(x)), Err(KeyFlaw::Weak), "{x}");
        #[cfg(feature = "rust-crypto")]
        {
            let point = decode(x).try_into().unwrap();
            assert!(ed25519_dalek::VerifyingKey::from_bytes(&point).unwrap().is_weak(), "{x} is not of small order");
        }
    }
    for y in ["7f_______________________________________38", "7v_______________________________________38"] {
        assert_eq!(PublicKey::ed25519(&decode(y)), Err(KeyFlaw::Malformed), "{y} is beyond the field");
    }
}

#[test]
fn hashes_are_those_of_fips_180() {
    let rows = [
        (HashAlgorithm::Sha256, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"),
        (HashAlgorithm::Sha384, "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP_W-2AhgcroefMI1i67KE0yCWn"),
        (
            HashAlgorithm::Sha512,
            "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05ohkpkqJ0_BqDa6PCOj_uu9RU1EI2Q86A4qmslPpUyknw",
        ),
    ];
    for (provider, crypto) in providers() {
        for (algorithm, expected) in rows {
            assert_eq!(crypto.hash(algorithm, b"abc").as_bytes(), decode(expected), "{provider}: {algorithm:?}");
        }
    }
}
