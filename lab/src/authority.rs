//! Who vouches for a certificate.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::tools;

/// A certificate authority of the lab's own.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    /// Its own certificate, as a PEM file.
    pub certificate: PathBuf,
}

impl Authority {
    /// A new one, whose files are as good on every host.
    ///
    /// # Errors
    /// [`Error::Missing`] without OpenSSL, and whatever the system refuses.
    pub fn new(host: &Host) -> Result<Self> {
        tools::need("openssl")?;
        let folder = host.folder()?;
        let config = "[req]\ndistinguished_name = name\n[name]\n";
        std::fs::write(folder.join("openssl.conf"), config).doing("writing a configuration")?;
        let authority = Self { certificate: folder.join("authority.pem"), folder };
        let constraints = "basicConstraints=critical,CA:TRUE";
        authority.issue(&["-subj", "/CN=Lab authority", "-addext", constraints], "authority")?;
        Ok(authority)
    }

    /// The files of a new certificate for a name, and of its key.
    ///
    /// # Errors
    /// Whatever the system refuses.
    pub fn vouch(&self, name: &str, file: &str) -> Result<[PathBuf; 2]> {
        let (own, key) = (text(&self.certificate), text(&self.folder.join("authority.key")));
        let names = format!("subjectAltName=DNS:{name}");
        let subject = format!("/CN={name}");
        let constraints = "basicConstraints=critical,CA:FALSE";
        let arguments = ["-CA", &own, "-CAkey", &key, "-subj", &subject, "-addext", constraints];
        self.issue(&[&arguments[..], &["-addext", &names]].concat(), file)?;
        Ok(["pem", "key"].map(|kind| self.folder.join(file).with_extension(kind)))
    }

    fn issue(&self, arguments: &[&str], file: &str) -> Result {
        let [certificate, key] =
            ["pem", "key"].map(|kind| self.folder.join(file).with_extension(kind));
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-config"])
            .arg(self.folder.join("openssl.conf"))
            .args(arguments)
            .arg("-out")
            .arg(certificate)
            .arg("-keyout")
            .arg(&key)
            .stdin(Stdio::null());
        let output = command.output().doing("making a certificate")?;
        if output.status.success() {
            // A relay gives root up before it reads it.
            let readable = std::fs::Permissions::from_mode(0o644);
            return std::fs::set_permissions(key, readable).doing("showing a key");
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Command { command: "openssl req".to_owned(), said })
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
