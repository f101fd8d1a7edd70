//! What an app shows to be given the bridge page: derived from the host and the secret, so that the
//! secret itself never enters a browser.

use std::hash::{Hash, Hasher};

use aws_lc_rs::{constant_time, hmac};
use data_encoding::BASE64URL_NOPAD;

use super::address::WebAddress;
use super::link::WebSecret;

/// How long a capability is when it is written: unpadded base64url of 32 bytes.
pub const WRITTEN: usize = 43;

/// `HMAC-SHA256(secret, context ‖ host)`, where a path has a context of its own.
///
/// Comparing takes as long for a wrong one as for the right one, and the hash is that of its first
/// eight bytes: so a `HashMap` from capabilities to keys finds one among many, and tells by its
/// timing nothing that helps to guess the rest.
#[derive(Clone, Copy)]
pub struct Capability([u8; 32]);

impl Capability {
    /// The one that an app derives from a link.
    #[must_use]
    pub fn of(address: &WebAddress, secret: &WebSecret) -> Self {
        let host = address.host.as_str();
        let context = match &address.path {
            None => format!("tdesktop-web-proxy-bridge-v1\n{host}"),
            Some(path) => format!("tdesktop-web-proxy-bridge-v2\n{host}\n{}", path.as_str()),
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.to_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, context.as_bytes()).as_ref());
        Self(bytes)
    }

    /// As it stands in a request, in the one spelling that there is.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() != WRITTEN {
            return None;
        }
        Some(Self(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }

    /// As it stands in a request.
    #[must_use]
    pub fn written(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl PartialEq for Capability {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Capability {}

impl Hash for Capability {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0[..8].hash(state);
    }
}

impl std::fmt::Debug for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Capability(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::Secret;

    const KEY: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    #[test]
    fn capabilities_agree_with_the_published_vectors() {
        for (address, secret, capability) in [
            (
                "proxy.example.com",
                WebSecret::Plain(KEY),
                "MHLEY5PmW1GWqJkSrlmJpvJUiLhBH_QKy6yKg8a0JPk",
            ),
            (
                "proxy.example.com",
                WebSecret::Padded(KEY),
                "IpJrt3e7sKtzPyoXy6w-Zj6GGEvsvclN66JzQEfPYLA",
            ),
            (
                "proxy.example.com/dobry-cola-super-app",
                WebSecret::Plain(KEY),
                "hHz99Xs93EN1j91G9gpNepXwGNNt5YdAFkEVk_LlqdQ",
            ),
        ] {
            let derived = Capability::of(&address.parse().expect("an address"), &secret);
            assert_eq!(derived.written(), capability);
            assert_eq!(Capability::read(capability), Some(derived));
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let right = "MHLEY5PmW1GWqJkSrlmJpvJUiLhBH_QKy6yKg8a0JPk";
        // The last letter carries two bits that must be 0.
        let loose = format!("{}l", &right[..42]);
        for text in ["", &right[..42], &format!("{right}="), &right.replace('_', "/"), &loose] {
            assert_eq!(Capability::read(text), None, "{text}");
        }
    }
}
