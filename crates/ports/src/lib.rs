//! The ports of a machine on which a relay answers: a list of them, or all 65,535, TCP and UDP,
//! without taking any from other programs.
//!
//! [`Ports::open`] takes the best [`Mechanism`] that the machine allows and hands over listeners and
//! [`Datagrams`]; which port somebody dialled is the `local_addr` of the connection, or the `to` of
//! the datagram's [`Flow`]. Behind it:
//!
//! | module | what is in it |
//! |---|---|
//! | `open` | the interface, and the choice of the mechanism |
//! | `steered` | all ports: `anchor` has the sockets to which packets are handed, `rules` is the memory that says which packets, `keeper` the process that holds whatever hands them over, with few `capabilities` |
//! | `steer` | what hands them over: `bpf` by the programs of `bpf/`, or `tproxy` by the rules of `table` |
//! | `nftables`, `netlink` | speaking to the kernel |
//! | `listed`, `bind` | a listener for each port |
//! | `never` | what is never taken: ssh, DHCP, NTP |
//! | `nat` | whether addresses are translated here |
//! | `held`, `holders` | what other programs have, and their names |
//! | `datagrams` | answers that leave from the port that was asked |
//!
//! Everything that changes while a relay runs is a byte in shared memory, which BPF programs read by
//! themselves and the keeper turns into rules of nftables: no privilege is needed after
//! [`Ports::open`]. The memory also has a deadline, by the kernel's own clock, that the relay moves on
//! every second. After it the programs do nothing, and the keeper takes the rules away within a second,
//! so a hung relay takes no port. And they are held by file descriptors alone: when the processes end,
//! they are gone. (But for rules before Linux 5.12, if both processes are killed at the same moment:
//! they do nothing then, and the next [`Ports::open`] removes them, see [`Ports::removed`].)
//!
//! What is not had, by design or by nature of the hook:
//! - Loopback addresses: what programs of a machine say to each other there stays theirs.
//! - Datagrams in fragments, and IPv6 packets with extension headers, at tcx: they find a closed port.
//! - At tcx, somebody who comes again from the same port of theirs within a minute of a connection
//!   that we closed is let in at the second attempt of their system, at once or a second later.
//! - With rules of nftables before Linux 5.12, ports are closed for a second when somebody flushes all
//!   rules, as a restart of a firewall does.
//! - Ports that are spread over other machines by IPVS or by other BPF programs cannot be seen; where
//!   there are such, a list is the right thing.

#![deny(unsafe_code)]

mod anchor;
mod bind;
mod bpf;
mod capabilities;
mod datagrams;
mod held;
mod holders;
mod keeper;
mod list;
mod listed;
mod mode;
mod nat;
mod netlink;
mod never;
mod nftables;
mod open;
mod rules;
mod set;
mod steer;
mod steered;
mod table;
mod tproxy;
mod transport;

pub use bind::{Bound, Refused, bind};
pub use capabilities::give_up_capabilities;
pub use datagrams::{Datagrams, Flow};
pub use holders::{Holder, Program, holders};
pub use list::{BadPortList, PortList};
pub use mode::Mode;
pub use never::is_never_taken;
pub use open::{Answers, Change, Mechanism, Ports, Settings, Trouble};
