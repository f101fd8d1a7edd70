//! A certificate that nobody vouches for, made once and kept.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::Held;
use crate::kept::Kept;
use crate::{BadCertificate, Name};

/// How long it is good. Links carry its fingerprint, so it must not change.
const LIFE: Duration = Duration::from_secs(3650 * 86_400);

/// The one that is kept for these names, or else a new one.
pub(crate) fn keep(names: &[Name], kept: &Kept) -> Result<Held, crate::Error> {
    let file = format!("self-signed-{}.pem", crate::acme::slug(names, ""));
    if let Some(pem) = kept.read(&file)? {
        return Ok(Held::from_pem(&pem, &pem, &file)?);
    }
    let (pem, held) = make(names)?;
    kept.write(&file, pem.as_bytes())?;
    Ok(held)
}

/// A new one, and the same with its key in PEM.
pub(crate) fn make(names: &[Name]) -> Result<(String, Held), BadCertificate> {
    let broken = |_| BadCertificate::Broken("what was made here".into());
    let mut params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(broken)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, name.to_string());
    }
    // Clocks of others may be behind ours.
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(86_400)).into();
    params.not_after = (now + LIFE).into();
    let key = KeyPair::generate().map_err(broken)?;
    let pem = params.self_signed(&key).map_err(broken)?.pem() + &key.serialize_pem();
    let held = Held::from_pem(pem.as_bytes(), pem.as_bytes(), "what was made here")?;
    Ok((pem, held))
}
