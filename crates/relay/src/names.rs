//! Names, by the system's own name servers, with a cache.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How many answers are kept.
const CACHE: u64 = 4096;
/// How long an answer is kept at most, whatever it says of itself.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a name may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Why a name gave no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoAddress {
    /// There is no such name, or nothing that it stands for.
    NoSuchName,
    /// The name servers do not say. What they were asked is not for anybody's log.
    NoAnswer,
}

/// The names of the world, as the machine's name servers tell them. They are asked at the first
/// name, and not before.
#[derive(Default)]
pub struct Names(OnceLock<Resolvers>);

/// Both share what they know.
struct Resolvers {
    system: Resolver<Connected>,
    /// Without the machine's hosts file.
    public: Resolver<Connected>,
}

impl Names {
    /// The addresses of a name, as it stands: no search list is applied.
    ///
    /// # Errors
    /// When there is none, or nobody to ask.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let resolvers = self.resolvers().map_err(|_| NoAddress::NoAnswer)?;
        match timeout(PATIENCE, resolvers.system.lookup_ip(format!("{name}."))).await {
            Ok(Ok(answer)) => Ok(answer.iter().collect()),
            Ok(Err(error)) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(NoAddress::NoSuchName)
            }
            Ok(Err(_)) | Err(_) => Err(NoAddress::NoAnswer),
        }
    }

    /// What the name servers say to any question, for as long as that takes. The machine's own hosts
    /// file is left out, and of the question only this much is passed on.
    pub(crate) async fn ask(&self, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        self.resolvers()?.public.lookup(name, kind).await
    }

    fn resolvers(&self) -> io::Result<&Resolvers> {
        if let Some(resolvers) = self.0.get() {
            return Ok(resolvers);
        }
        let system = resolver()?;
        let mut public = system.clone();
        public.set_hosts(Arc::default());
        Ok(self.0.get_or_init(|| Resolvers { system, public }))
    }
}

fn resolver() -> io::Result<Resolver<Connected>> {
    let system = Resolver::builder(Connected::default());
    let mut builder = system.unwrap_or_else(|_no_name_servers| {
        // The hosts file is still there.
        let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        Resolver::builder_with_config(nobody, Connected::default())
    });
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = CACHE;
    options.positive_max_ttl = Some(KEPT);
    options.negative_max_ttl = Some(Duration::from_secs(60));
    builder.build().map_err(io::Error::other)
}

/// Asks from sockets that are connected to the name server. The library's own are not: they would
/// take answers from anyone, and something that listens on all ports might be handed theirs.
#[derive(Clone, Default)]
struct Connected(TokioRuntimeProvider);

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl RuntimeProvider for Connected {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = UdpSocket;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        from: Option<SocketAddr>,
        patience: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        self.0.connect_tcp(server, from, patience)
    }

    fn bind_udp(&self, from: SocketAddr, server: SocketAddr) -> Opening<UdpSocket> {
        Box::pin(async move {
            let socket = UdpSocket::bind(from).await?;
            socket.connect(server).await?;
            Ok(socket)
        })
    }
}
