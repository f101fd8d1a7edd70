//! Rules of a border's kernel: fast, and blind to whatever is in a packet.

use std::fmt::Write;
use std::net::IpAddr;

/// Which ports of abroad pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ports {
    /// Every one.
    All,
    /// These.
    Only(Vec<u16>),
    /// Every other one.
    AllBut(Vec<u16>),
}

impl From<&[u16]> for Ports {
    fn from(ports: &[u16]) -> Self {
        Self::Only(ports.to_vec())
    }
}

impl<const N: usize> From<[u16; N]> for Ports {
    fn from(ports: [u16; N]) -> Self {
        Self::Only(ports.to_vec())
    }
}

/// What a border lets out, by the port abroad; and in again, if it comes from such a port. It keeps no
/// state, and a full sweep of all ports passes it as fast as a machine can send.
///
/// ```
/// // January 2022 in Kazakhstan.
/// let gate = lab::Gate::shut().tcp([179, 646, 3784, 3785, 4784]).udp([53]);
/// # drop(gate);
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    tcp: Ports,
    udp: Ports,
    others: bool,
    addresses: Vec<IpAddr>,
    answers: bool,
}

impl Gate {
    /// Lets nothing out. What is not let out vanishes.
    #[must_use]
    pub fn shut() -> Self {
        let none = Ports::Only(Vec::new());
        Self { tcp: none.clone(), udp: none, others: false, addresses: Vec::new(), answers: false }
    }

    /// Lets everything out, what is neither TCP nor UDP too.
    #[must_use]
    pub fn open() -> Self {
        Self { tcp: Ports::All, udp: Ports::All, others: true, ..Self::shut() }
    }

    /// These TCP ports pass.
    #[must_use]
    pub fn tcp(self, ports: impl Into<Ports>) -> Self {
        Self { tcp: ports.into(), ..self }
    }

    /// These UDP ports pass.
    #[must_use]
    pub fn udp(self, ports: impl Into<Ports>) -> Self {
        Self { udp: ports.into(), ..self }
    }

    /// Whatever goes to these addresses passes too.
    #[must_use]
    pub fn to(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses.extend(addresses);
        self
    }

    /// What is not let out is answered: TCP with a reset, everything else with "unreachable".
    #[must_use]
    pub fn answers(self) -> Self {
        Self { answers: true, ..self }
    }

    /// As nftables takes it, in place of what there was.
    pub(super) fn rules(&self) -> String {
        let (out, back) = (self.passes("daddr", "dport"), self.passes("saddr", "sport"));
        let answers = if self.answers {
            "meta l4proto tcp reject with tcp reset\nreject with icmpx port-unreachable\n"
        } else {
            ""
        };
        format!(
            "{NONE}
            table inet gate {{
              chain out {{ {out}\n{answers}drop\n}}
              chain back {{ {back}\ndrop\n}}
              chain forward {{
                type filter hook forward priority 0;
                oifname \"eth0\" jump out
                iifname \"eth0\" jump back
              }}
            }}\n"
        )
    }

    fn passes(&self, address: &str, port: &str) -> String {
        let mut rules = String::new();
        for to in &self.addresses {
            let family = if to.is_ipv4() { "ip" } else { "ip6" };
            let _ = writeln!(rules, "{family} {address} {to} accept");
        }
        for (transport, ports) in [("tcp", &self.tcp), ("udp", &self.udp)] {
            let list =
                |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let _ = match ports {
                Ports::Only(ports) if ports.is_empty() => Ok(()),
                Ports::Only(ports) => {
                    writeln!(rules, "{transport} {port} {{ {} }} accept", list(ports))
                }
                Ports::AllBut(ports) if !ports.is_empty() => {
                    writeln!(rules, "{transport} {port} != {{ {} }} accept", list(ports))
                }
                Ports::All | Ports::AllBut(_) => {
                    writeln!(rules, "meta l4proto {transport} accept")
                }
            };
        }
        if self.others {
            rules.push_str("meta l4proto != { tcp, udp } accept\n");
        }
        rules
    }
}

/// No gate at all, as nftables takes it.
pub(super) const NONE: &str = "table inet gate\ndelete table inet gate\n";
