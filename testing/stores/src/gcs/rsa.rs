//! As much of RSA as verifying takes: one public key of 2048 bits, whose exponent is 65537. It need be neither quick nor
//! safe against listeners, for nothing here is secret.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

/// Digits of 32 bits, the least first.
type Number = [u32; LIMBS];

const LIMBS: usize = 64;
const BYTES: usize = 256;

/// The modulus of the key in `key.pem`.
const MODULUS: &str = "\
9aae640ddd9301dfa687f86f27f8abd5cb2cbf80af144421816d2cfd75b35ecaa40b6fa5021b41a0e17f0683eb8b8195e652\
f399f3a20b5e0a51f8b45ce93b40b4b3e2b21ea644e4237345fc6b797b7481f809fe086f04585fd8249c005fb1a8651eb0bc\
d6d9ec375d1f2edc2dcba44959392593fa64f9ff33e0ecdbce7b27a37a57e5983d2dc27e84ed3c322a4188713b09633cccba\
3b7cd6393e4c5cd6a6e5539d069c87fb502b164eb568d0d9c333441034687ff2946ef212b975da0cc6254f9668f09d4d5dd7\
39feea8ff0563eb487a42aa3450284bd8264563f94d3fc72611b99f13d74afcc27ab6bda23b5a284c5f211baf9cb4d71014b\
7b4f877810cb";

/// What stands before a SHA-256 digest that is signed.
const DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// Whether the key has signed this (PKCS #1 v1.5 with SHA-256).
pub(super) fn is_signature(message: &[u8], signature: &[u8]) -> bool {
    if signature.len() != BYTES {
        return false;
    }
    let mut expected = vec![0xff; BYTES];
    let digest = Sha256::digest(message);
    let start = BYTES - digest.len() - DIGEST_INFO.len();
    (expected[0], expected[1], expected[start - 1]) = (0, 1, 0);
    expected[start..start + DIGEST_INFO.len()].copy_from_slice(&DIGEST_INFO);
    expected[start + DIGEST_INFO.len()..].copy_from_slice(&digest);
    let modulus = modulus();
    let base = number(signature);
    if compare(&base, &modulus) != Ordering::Less {
        return false;
    }
    // 65537 is 2^16 + 1.
    let power = (0..16).fold(base, |power, _| multiply(&power, &power, &modulus));
    multiply(&power, &base, &modulus) == number(&expected)
}

fn modulus() -> Number {
    let digit = |at: usize| u8::from_str_radix(&MODULUS[2 * at..2 * at + 2], 16).unwrap_or(0);
    number(&(0..BYTES).map(digit).collect::<Vec<u8>>())
}

/// Of bytes, the greatest first.
fn number(bytes: &[u8]) -> Number {
    let mut digits = [0; LIMBS];
    for (digit, four) in digits.iter_mut().zip(bytes.rchunks(4)) {
        *digit = four.iter().fold(0, |digit, byte| digit << 8 | u32::from(*byte));
    }
    digits
}

fn compare(a: &Number, b: &Number) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

/// `a + b`, less the modulus if it is not less than that; both are less than it.
fn add(a: &Number, b: &Number, modulus: &Number) -> Number {
    let (mut sum, mut carry) = ([0; LIMBS], 0);
    for at in 0..LIMBS {
        let digit = u64::from(a[at]) + u64::from(b[at]) + carry;
        (sum[at], carry) = (digit as u32, digit >> 32);
    }
    if carry == 0 && compare(&sum, modulus) == Ordering::Less {
        return sum;
    }
    let mut borrow = 0;
    for at in 0..LIMBS {
        let digit = i64::from(sum[at]) - i64::from(modulus[at]) + borrow;
        (sum[at], borrow) = (digit as u32, digit >> 32);
    }
    sum
}

/// `a * b` in the ring, by doubling.
fn multiply(a: &Number, b: &Number, modulus: &Number) -> Number {
    let mut product = [0; LIMBS];
    for at in (0..LIMBS * 32).rev() {
        product = add(&product, &product, modulus);
        if b[at / 32] >> (at % 32) & 1 == 1 {
            product = add(&product, a, modulus);
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn a_signature_of_openssl_is_right_and_another_is_not() {
        let signature = BASE64_STANDARD.decode(SIGNED).unwrap();
        assert!(is_signature(b"signed", &signature));
        assert!(!is_signature(b"not signed", &signature));
        let mut broken = signature.clone();
        broken[100] ^= 1;
        assert!(!is_signature(b"signed", &broken));
        assert!(!is_signature(b"signed", &signature[1..]));
        assert!(!is_signature(b"signed", &[0xff; BYTES]));
    }

    /// `printf signed | openssl dgst -sha256 -sign key.pem | base64 -w 0`.
    const SIGNED: &str = "\
HXsMkomxOdaxqAza0DQC0UAbBNyKhoJSjIFtSmSM62Ml1dbv+brsP3KtGhZwP30rowqRz4DU4L9cj3SV4meBplkeqWXOoeVs39VR\
2x+u4P8Bp7eGqK8XleEJXvjhHiJdawIdUtwCHtq2yXUKzI0Tsca3rGGvbxOpoVbb3uPiVx9MN895M2NJUiKbbfsOTfuVBOS5+dJe\
EJt4v+ruwQ/5tXh0FgT+06Eb2JSYlk0vndaxl/AEYt0Yh7w1SEUDHEQocFroTqgLRtz+B6FdZHkVq6P/O8YEoesAHdneY4ibq2+3\
H5Q7x4y9AtnnNibPScuPzOLJwkJ9FDPqF9V+dzbjWg==";
}
