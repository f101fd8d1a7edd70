//! Namespaces and the links between them.
//!
//! Every link has two ends: `eth0` below, and above, in the network's router, a link that bears the
//! name of what hangs on it. Addresses belong to hosts alone; a router knows a host by a route for
//! each of its addresses, and so does every router above it. Nothing leads out of the lab.

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::namespace::Namespace;
use crate::tools;
use crate::warden::Warden;

/// The end of a link that its router has, to which those below send everything.
const UPPER: u8 = 1;
/// The other end, in IPv4 only if it is a router too.
const LOWER: u8 = 2;

/// A namespace and its place in the lab: a host, or a network's router.
#[derive(Debug)]
pub(crate) struct Node {
    name: String,
    namespace: Namespace,
    /// The router above, and what the link to this node is called there.
    uplink: Option<(Arc<Node>, String)>,
    links: AtomicU32,
    /// Whether it stands before its hosts' IPv4 addresses with one of its own.
    translates: AtomicBool,
    warden: Arc<Warden>,
}

impl Node {
    pub(crate) fn new(
        name: &str,
        uplink: Option<(Arc<Node>, String)>,
        warden: Arc<Warden>,
    ) -> Result<Self> {
        let files = vec![(warden.hosts(), "/etc/hosts"), (warden.resolver(), "/etc/resolv.conf")];
        let namespace = Namespace::new(name, files)?;
        let node = Self {
            name: name.to_owned(),
            namespace,
            uplink,
            links: AtomicU32::new(0),
            translates: AtomicBool::new(false),
            warden,
        };
        node.set("ipv6/conf/all/accept_dad", "0")?;
        node.set("ipv6/conf/default/accept_dad", "0")?;
        node.set("ipv6/conf/default/accept_ra", "0")?;
        node.ip("link set lo up")?;
        Ok(node)
    }

    pub(crate) fn below(router: &Arc<Node>, name: &str) -> Result<Self> {
        let number = router.links.fetch_add(1, Ordering::Relaxed);
        // The kernel takes 15 bytes.
        let link = format!("{name:.10}-{number}");
        let uplink = Some((router.clone(), link.clone()));
        let node = Self::new(name, uplink, router.warden.clone())?;
        let ([v4, v6], [_, below]) = (router.ends(UPPER), router.ends(LOWER));
        router.ip(&format!(
            "link add {link} type veth peer name eth0 netns {keeper}
             link set {link} addrgenmode none up
             addr add {v4}/32 dev {link}
             addr add {v6}/64 dev {link}",
            keeper = node.namespace.keeper(),
        ))?;
        node.ip(&format!(
            "link set eth0 addrgenmode none up
             addr add {below}/64 dev eth0
             route add default via {v4} dev eth0 onlink
             route add default via {v6} dev eth0"
        ))?;
        router.settle(&link)?;
        node.settle("eth0")?;
        Ok(node)
    }

    /// Waits until a link carries, and until the kernel has taken every IPv6 address on it into
    /// use. Before that, what is sent is lost, and sent again only after a second. (So no address is
    /// added with `nodad`: it would count as in use at once, and hear nothing until later.)
    pub(crate) fn settle(&self, link: &str) -> Result {
        // Address, interface index, prefix, scope, flags, link.
        const TENTATIVE: u8 = 0x40;
        let usable = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, _, _, _, flags, name] if name == link => {
                u8::from_str_radix(flags, 16).ok().map(|flags| flags & TENTATIVE == 0)
            }
            _ => None,
        };
        for _ in 0..15_000 {
            let read = || std::fs::read_to_string("/proc/thread-self/net/if_inet6");
            let addresses = self.namespace.enter(read).doing("reading a host's addresses")?;
            let mut usable = addresses.lines().filter_map(usable).peekable();
            if usable.peek().is_some() && usable.all(|usable| usable) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(Error::Unexpected(format!("{link} of {} does not come up", self.name)))
    }

    /// Makes this a network's router.
    pub(crate) fn forward(&self) -> Result {
        self.set("ipv4/ip_forward", "1")?;
        self.set("ipv6/conf/all/forwarding", "1")?;
        let Some((router, _)) = &self.uplink else {
            return Ok(());
        };
        let [v4, _] = router.ends(LOWER);
        self.ip(&format!("addr add {v4}/32 dev eth0 scope link"))
    }

    /// What the ends of this router's links are called, alike on all of them, and differently from
    /// those of the router above.
    fn ends(&self, end: u8) -> [String; 2] {
        let depth = std::iter::successors(self.router(), |router| router.router()).count();
        [format!("169.254.{depth}.{end}"), format!("fe80::{depth}:{end}")]
    }

    /// Tells every router above that these addresses are here, up to one that translates them.
    pub(crate) fn announce(&self, addresses: &[IpAddr]) -> Result {
        let Some((router, link)) = &self.uplink else {
            return Ok(());
        };
        let route = |address: &IpAddr| format!("route replace {address} dev {link}\n");
        router.ip(&addresses.iter().map(route).collect::<String>())?;
        let mut addresses = addresses.to_vec();
        let mut node = router;
        while let Some((router, link)) = &node.uplink {
            if node.translates.load(Ordering::Relaxed) {
                addresses.retain(IpAddr::is_ipv6);
            }
            let [v4, v6] = router.ends(LOWER);
            let route = |address: &IpAddr| {
                let via = if address.is_ipv4() { &v4 } else { &v6 };
                format!("route replace {address} via {via} dev {link} onlink\n")
            };
            router.ip(&addresses.iter().map(route).collect::<String>())?;
            node = router;
        }
        Ok(())
    }

    /// From now on nobody above is told of IPv4 addresses below this router, which has `address` for
    /// them all.
    pub(crate) fn translate(&self, address: IpAddr) -> Result {
        self.translates.store(true, Ordering::Relaxed);
        self.ip(&format!("addr add {address}/32 dev eth0"))?;
        self.announce(&[address])
    }

    /// Sets what stands under this name in `/proc/sys/net`.
    pub(crate) fn set(&self, setting: &str, value: impl Display) -> Result {
        let path = format!("/proc/sys/net/{setting}");
        let doing = format!("setting {setting} of {}", self.name);
        let value = value.to_string();
        self.namespace.enter(move || std::fs::write(path, value)).doing(doing)
    }

    /// Lines for `ip -batch`.
    pub(crate) fn ip(&self, lines: &str) -> Result {
        self.feed("ip", &["-batch", "-"], lines)
    }

    /// Rules for nftables.
    pub(crate) fn nft(&self, rules: &str) -> Result {
        tools::need("nft")?;
        self.feed("nft", &["-f", "-"], rules)
    }

    /// What nftables says, as JSON, when it is asked to list this.
    pub(crate) fn nft_list(&self, what: &str) -> Result<String> {
        tools::need("nft")?;
        let arguments = ["-j", "list"].into_iter().chain(what.split(' ')).collect::<Vec<_>>();
        self.ask("nft", &arguments, "")
    }

    /// From now on, what comes to these TCP ports is dropped at this hook of netfilter: `input` on a
    /// host, `forward` on a router; there, only what goes to this address.
    pub(crate) fn firewall(&self, hook: &str, to: IpAddr, ports: &[u16]) -> Result {
        let family = if to.is_ipv4() { "ip" } else { "ip6" };
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        let rules = format!(
            "table inet firewall {{ chain {hook} {{
                type filter hook {hook} priority 0;
                {family} daddr {to} tcp dport {{ {ports} }} drop
            }}
            }}\n"
        );
        self.nft(&rules)
    }

    /// Runs a program of the machine here, with these lines to read.
    pub(crate) fn feed(&self, program: &str, arguments: &[&str], lines: &str) -> Result {
        self.ask(program, arguments, lines).map(drop)
    }

    /// The same, and what it says.
    fn ask(&self, program: &str, arguments: &[&str], lines: &str) -> Result<String> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.namespace.spawn(command)?;
        let mut stdin = child.stdin.take().expect("piped");
        // One that gave up does not listen to the end; its status says so.
        let _ = stdin.write_all(lines.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().doing(format!("waiting for {program}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Command {
            command: format!("{program}: {lines}"),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// From now on this router drops whatever goes to `address`.
    pub(crate) fn swallow(&self, address: IpAddr) -> Result {
        self.forget(address);
        self.ip(&format!("route add blackhole {address}"))
    }

    /// Takes back what was said of `address` alone, if anything was.
    pub(crate) fn forget(&self, address: IpAddr) {
        let _ = self.ip(&format!("route del {address}"));
    }

    /// The router above.
    pub(crate) fn router(&self) -> Option<&Arc<Node>> {
        self.uplink.as_ref().map(|(router, _)| router)
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn warden(&self) -> &Warden {
        &self.warden
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
