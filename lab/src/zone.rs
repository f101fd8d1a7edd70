//! A zone of one's own, at a real name server (Knot) that takes signed updates.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::tools;
use crate::website::base64;

/// A name server, which runs until it is dropped.
#[derive(Debug)]
pub struct Zone {
    server: Child,
    host: Host,
    name: String,
    folder: PathBuf,
}

impl Zone {
    /// Opens the zone of this name on a host, which everybody in the lab asks from now on. In it,
    /// every name below is `at`.
    ///
    /// # Errors
    /// [`Error::Missing`] without Knot, and whatever the system refuses.
    pub fn on(host: &Host, name: &str, at: &Host) -> Result<Self> {
        tools::need("knotd")?;
        tools::need("knsupdate")?;
        let folder = host.folder()?;
        let (dir, own) = (folder.display(), host.v4());
        let secret = base64(&wire::random::<32>());
        let configuration = format!(
            "server:\n  rundir: {dir}\n  listen: {own}@53\n\
             database:\n  storage: {dir}\n\
             key:\n  - id: acme\n    algorithm: hmac-sha256\n    secret: {secret}\n\
             acl:\n  - id: change\n    key: acme\n    action: update\n\
             zone:\n  - domain: {name}\n    storage: {dir}\n    file: zone\n    acl: change\n"
        );
        let records = format!(
            "{name}. 60 SOA ns.{name}. x.{name}. 1 3600 600 86400 1\n\
             {name}. 60 NS ns.{name}.\nns.{name}. 60 A {own}\n*.{name}. 60 A {}\n",
            at.v4()
        );
        for (file, text) in [
            ("knot.conf", configuration),
            ("zone", records),
            ("key", format!("hmac-sha256:acme:{secret}\n")),
        ] {
            std::fs::write(folder.join(file), text).doing("writing a name server's files")?;
        }
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.join("knot.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let zone = Self {
            server: host.spawn(command)?,
            host: host.clone(),
            name: name.to_owned(),
            folder,
        };
        host.name_server(own)?;
        for _ in 0..500 {
            if host.run(async move || Ok(tokio::net::TcpStream::connect((own, 53)).await?)).is_ok()
            {
                return Ok(zone);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Error::Unexpected("knotd does not answer".to_owned()))
    }

    /// The file of the key that may change it, as `jaryq up --dns-key` takes it.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// A program that changes it, as `jaryq up --dns-hook` takes it: what it has been told is to be
    /// seen two seconds after it has ended, as with many a provider.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn hook(&self) -> Result<PathBuf> {
        let file = self.folder.join("hook");
        let script = format!(
            "#!/bin/sh\nverb=add; [ \"$1\" = present ] || verb=del\n\
             (sleep 2; printf 'server {}\\nzone {}\\n%s %s 60 TXT %s\\nsend\\n' $verb \"$2\" \"$3\" |\n\
             knsupdate -y \"$(cat {})\") >/dev/null 2>&1 &\n",
            self.host.v4(),
            self.name,
            self.key().display()
        );
        std::fs::write(&file, script).doing("writing a hook")?;
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, all).doing("writing a hook")?;
        Ok(file)
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
