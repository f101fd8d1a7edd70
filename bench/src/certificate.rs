//! The certificate that every proxy shows, and what its users go by.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use lab::Host;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
};
use rustls::RootCertStore;

/// The name in it, which is nobody's.
pub(crate) const NAME: &str = "bench.example.org";

/// One for ECDSA on P-256, as most websites have it, and the files that proxies are given.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// PEM.
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// One after the other, for those who want a single file.
    pub(crate) both: PathBuf,
    /// Whom the users believe.
    pub(crate) roots: RootCertStore,
}

impl Certificate {
    pub(crate) fn make(server: &Host) -> anyhow::Result<Self> {
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("making a key");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()?)?;
        let own = key()?;
        let chain = CertificateParams::new([NAME.to_owned()])?.signed_by(&own, &authority)?.pem();
        let key = own.serialize_pem();
        let folder = server.folder()?;
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map(|()| path)
        };
        let both = file("both.pem", format!("{chain}{key}"))?;
        let (chain, key) = (file("chain.pem", chain)?, file("key.pem", key)?);
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        Ok(Self { chain, key, both, roots })
    }
}
