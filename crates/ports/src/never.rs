//! Ports that are never taken: without them the machine's owner, or its address, would be lost.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::Path;

use crate::held::{self, Sockets};
use crate::holders::{listing, sockets_of};
use crate::rules::Rules;

/// Secure shell; DHCP for servers and clients, of both families; network time.
const ALWAYS: [u16; 6] = [22, 67, 68, 123, 546, 547];

/// Remembers for good every port that an ssh daemon has, had or will have.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    known: HashSet<u16>,
}

impl Watch {
    /// Looks once; what it finds for the first time, it adds to the rules.
    pub(crate) fn look(&mut self, rules: &Rules) {
        if self.known.is_empty() {
            let first = ALWAYS.into_iter().chain(session());
            self.remember(first, rules);
        }
        self.remember(configured(Path::new("/etc/ssh")), rules);
        self.remember(listening(), rules);
    }

    fn remember(&mut self, ports: impl IntoIterator<Item = u16>, rules: &Rules) {
        for port in ports {
            if self.known.insert(port) {
                rules.never(port);
            }
        }
    }
}

/// Whether a port is never taken, as far as that is known without looking at other processes: ssh's, as
/// it is configured and as this session came in, DHCP's, and network time's.
#[must_use]
pub fn is_never_taken(port: u16) -> bool {
    certain().any(|never| never == port)
}

/// Those that are known without looking at other processes.
pub(crate) fn certain() -> impl Iterator<Item = u16> {
    ALWAYS.into_iter().chain(session()).chain(configured(Path::new("/etc/ssh")))
}

/// The port of ours that this very session came in by.
fn session() -> Option<u16> {
    port_of_session(&env::var("SSH_CONNECTION").ok()?)
}

/// Client's address and port, server's address and port; see ssh(1).
fn port_of_session(connection: &str) -> Option<u16> {
    connection.split_whitespace().nth(3)?.parse().ok()
}

/// The ports that the daemon is configured to have, and those that systemd opens for it.
fn configured(folder: &Path) -> Vec<u16> {
    let mut files = vec![folder.join("sshd_config")];
    files.extend(listing(&folder.join("sshd_config.d")));
    let mut ports: Vec<u16> = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|t| ports_of_sshd(&t))
        .collect();
    for systemd in ["/etc/systemd/system", "/run/systemd/generator", "/run/systemd/system"] {
        for unit in ["ssh.socket", "sshd.socket"] {
            let unit = Path::new(systemd).join(unit);
            let mut files = listing(&unit.with_added_extension("d"));
            files.push(unit);
            let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
            ports.extend(texts.flat_map(|text| ports_of_systemd(&text)));
        }
    }
    ports
}

/// `Port 2222`, `ListenAddress 192.0.2.1:2222`, `ListenAddress [2001:db8::1]:2222`; see
/// sshd_config(5).
fn ports_of_sshd(text: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut words =
            line.split(|c: char| c.is_whitespace() || c == '=').filter(|w| !w.is_empty());
        let (keyword, value) = (words.next()?, words.next()?.trim_matches('"'));
        match keyword.to_ascii_lowercase().as_str() {
            "port" => value.parse().ok(),
            "listenaddress" => after_colon(value),
            _ => None,
        }
    };
    text.lines().filter_map(port).collect()
}

/// `ListenStream=2222`, `ListenStream=0.0.0.0:2222`; see systemd.socket(5).
fn ports_of_systemd(text: &str) -> Vec<u16> {
    let value = |line: &str| {
        Some(
            line.trim()
                .strip_prefix("ListenStream")?
                .trim_start()
                .strip_prefix('=')?
                .trim()
                .to_owned(),
        )
    };
    let port = |value: String| value.parse().ok().or_else(|| after_colon(&value));
    text.lines().filter_map(value).filter_map(port).collect()
}

/// The port of an address that has one; an IPv6 address without brackets has none.
fn after_colon(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    (host.ends_with(']') || !host.contains(':')).then(|| port.parse().ok())?
}

/// The ports of ours that processes called `sshd` listen on or are connected through.
fn listening() -> Vec<u16> {
    let inodes: HashSet<u32> = listing(Path::new("/proc"))
        .iter()
        .filter(|process| {
            // `sshd-session` and `sshd-auth` since OpenSSH 9.8.
            fs::read_to_string(process.join("comm")).is_ok_and(|name| name.starts_with("sshd"))
        })
        .flat_map(|process| sockets_of(process))
        .collect();
    if inodes.is_empty() {
        return Vec::new();
    }
    let Ok(all) =
        Sockets::open().and_then(|mut sockets| sockets.tcp(held::LISTEN | held::ESTABLISHED))
    else {
        return Vec::new();
    };
    let theirs: Vec<_> = all.iter().filter(|socket| inodes.contains(&socket.inode)).collect();
    let listened: Vec<u16> =
        theirs.iter().filter(|socket| socket.listens).map(|socket| socket.local.port()).collect();
    // What an sshd is connected through may be a port that it forwards for somebody from here to
    // elsewhere; only one that came in has a port of ours worth keeping. Without a listener left, it
    // is the session that its daemon was restarted from.
    if listened.is_empty() {
        return theirs
            .iter()
            .map(|socket| socket.local.port())
            .filter(|port| *port < 32_768)
            .collect();
    }
    listened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_this_session_is_the_servers_and_not_the_clients() {
        assert_eq!(port_of_session("198.51.100.7 51234 203.0.113.5 2222"), Some(2222));
        assert_eq!(port_of_session("2001:db8::7 51234 2001:db8::5 22"), Some(22));
        for none in ["", "198.51.100.7 51234 22", "198.51.100.7 51234 203.0.113.5 x", "a b c 65536"]
        {
            assert_eq!(port_of_session(none), None, "{none}");
        }
    }

    #[test]
    fn every_way_to_write_a_port_of_sshd_is_understood() {
        let text = "# Port 1\nPort 2222\n  port=2223\nPort \"2224\"\nListenAddress 192.0.2.1:2225\n\
                    ListenAddress [2001:db8::1]:2226\nListenAddress 2001:db8::1\nPermitRootLogin no\n";
        assert_eq!(ports_of_sshd(text), [2222, 2223, 2224, 2225, 2226]);
        let text = "[Socket]\nListenStream=\nListenStream=2222\nListenStream = 0.0.0.0:2223\n\
                    ListenStream=[::]:2224\nListenStream=/run/x\n";
        assert_eq!(ports_of_systemd(text), [2222, 2223, 2224]);
    }
}
