//! A certificate with its key, checked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::der::{self, Facts};
use crate::notices::{Notice, Notices};

/// A certificate that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate in it.
    #[error("there is no PEM certificate in {0}")]
    NoCertificate(String),
    /// There is no private key in it.
    #[error("there is no PEM private key without a password in {0}")]
    NoKey(String),
    /// It is not understood.
    #[error("the certificate or key in {0} is broken, or of a kind that is not supported")]
    Broken(String),
    /// They do not belong together.
    #[error("the certificate and the private key in {0} do not belong together")]
    KeyDiffers(String),
}

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Held {
    pub key: Arc<CertifiedKey>,
    pub facts: Facts,
}

impl Held {
    /// From PEM; `origin` is what errors name.
    pub(crate) fn from_pem(
        certificate: &[u8],
        key: &[u8],
        origin: &str,
    ) -> Result<Self, BadCertificate> {
        let origin = || origin.to_owned();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| BadCertificate::Broken(origin()))?;
        let first = chain.first().ok_or_else(|| BadCertificate::NoCertificate(origin()))?;
        let facts = der::read(first).ok_or_else(|| BadCertificate::Broken(origin()))?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|_| BadCertificate::NoKey(origin()))?;
        let key =
            CertifiedKey::from_der(chain, key, &default_provider()).map_err(
                |error| match error {
                    rustls::Error::InconsistentKeys(_) => BadCertificate::KeyDiffers(origin()),
                    _ => BadCertificate::Broken(origin()),
                },
            )?;
        Ok(Self { key: Arc::new(key), facts })
    }

    pub(crate) fn from_files(certificate: &Path, key: &Path) -> Result<Self, BadCertificate> {
        let read = |path: &Path| {
            crate::kept::read(path)
                .map_err(|error| BadCertificate::Unreadable { path: path.to_owned(), error })
        };
        let origin = format!("{} and {}", certificate.display(), key.display());
        Self::from_pem(&read(certificate)?, &read(key)?, &origin)
    }

    /// What it is for, in words.
    pub(crate) fn names(&self) -> String {
        list(&self.facts.names)
    }

    /// SHA-256 of the certificate.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        if let Some(certificate) = self.key.cert.first() {
            fingerprint.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        }
        fingerprint
    }

    /// What is wrong with its time, if anything is.
    pub(crate) fn out_of_time(&self, now: SystemTime) -> Option<Notice> {
        let Facts { from, until, .. } = self.facts;
        if now >= until {
            Some(Notice::Expired { names: self.names(), since: until })
        } else if now < from {
            Some(Notice::NotYetValid { names: self.names(), from })
        } else {
            None
        }
    }

    /// Says what is wrong with its time.
    pub(crate) fn judge(&self, notices: &Notices) {
        if let Some(notice) = self.out_of_time(SystemTime::now()) {
            notices.say(notice);
        }
    }
}

/// Names in words.
pub(crate) fn list(names: &[crate::Name]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
