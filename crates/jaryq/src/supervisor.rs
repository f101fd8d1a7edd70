//! What a service manager wants to hear: that the relay is ready, and that it is well (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Whoever started this process and asked to be told; nobody, mostly.
#[derive(Debug)]
pub(crate) struct Supervisor(Option<UnixDatagram>);

impl Supervisor {
    /// The one that is named in the environment.
    pub(crate) fn from_environment() -> Self {
        let path = std::env::var_os("NOTIFY_SOCKET");
        Self(path.and_then(|path| connect(&path).ok()))
    }

    /// Everything is open, and whoever comes is served.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// Said at least every few seconds; silence means that the relay hangs.
    pub(crate) fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// The relay was told to stop, and lets people finish.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, word: &str) {
        if let Some(socket) = &self.0 {
            // If it does not listen, there is nothing to be done.
            let _ = socket.send(word.as_bytes());
        }
    }
}

fn connect(path: &OsStr) -> io::Result<UnixDatagram> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    // The relay waits for nobody.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_addresses_are_understood() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let name = format!("jaryq-test-{}", std::process::id());
        let hidden = SocketAddr::from_abstract_name(&name).expect("an address");
        for (socket, address) in [
            (UnixDatagram::bind(&path), path.into_os_string()),
            (UnixDatagram::bind_addr(&hidden), format!("@{name}").into()),
        ] {
            let socket = socket.expect("bound");
            Supervisor(connect(&address).ok()).ready();
            let mut heard = [0; 32];
            let length = socket.recv(&mut heard).expect("heard");
            assert_eq!(&heard[..length], b"READY=1");
        }
        Supervisor(None).alive();
    }
}
