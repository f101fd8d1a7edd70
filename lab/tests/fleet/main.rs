//! The whole of it: a hub, six relays that volunteers have joined with a line, people over real sockets
//! and TDLib among them, some who tell the censor where they sit, and a censor who blocks two of the
//! endpoints that it knows a minute, and then all ports but five.
//!
//! *Being seated elsewhere* are the first 20 s after a block, and all seconds from the cut until 20 s
//! after its first receipt is with the hub. In every other second more than 90 % are online.
//!
//! Only one thing here is easier than life: people's door leads out of the country, by whatever way
//! their messenger has; how to ask from inside is tested in `join`.
//!
//! 100 people, or as many as `JARYQ_LAB_PEOPLE` says; with 300 or more, it goes on for ten minutes.

mod chart;
mod door;
mod people;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use chart::Chart;
use door::{Door, LOCAL};
use lab::relay::program;
use lab::world::shutdowns::FIVE;
use lab::{Error, Gate, Host, Hub, Lab, Provider, Relay, Result, Telegram, country, files, tdlib};
use nix::sys::signal::Signal;
use people::{Board, Habit, Person, live_at};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

/// Where the volunteers' servers are, no two with one provider.
const SERVERS: [&str; 6] =
    ["116.203.7.7", "51.68.8.8", "157.230.9.9", "139.162.10.10", "95.179.11.11", "89.58.12.12"];
/// The last bytes of homes' addresses: none of them is found in a file by chance.
const HOMES: [[u8; 2]; 3] = [[173, 211], [219, 142], [87, 233]];
/// One in so many tells the censor.
const INFORMS: usize = 25;
/// How long the censor waits between two blocks.
const BLOCKS: Duration = Duration::from_secs(30);
/// How long people are being seated elsewhere after one.
const MOVING: Duration = Duration::from_secs(20);
/// How long after the cut's first receipt.
const MOVING_IN_A_CUT: Duration = Duration::from_secs(20);
/// How long anything may take that is to happen.
const LIMIT: Duration = Duration::from_secs(120);
const ENOUGH: f64 = 0.9;

/// How large it all is.
struct Size {
    people: usize,
    /// How long nothing happens before.
    usual: Duration,
    /// How long the censor blocks one endpoint after the other.
    blocks: Duration,
    /// How long it goes on in the cut.
    cut: Duration,
    honest: Habit,
    informer: Habit,
}

impl Size {
    fn asked() -> Self {
        let said = std::env::var("JARYQ_LAB_PEOPLE").ok();
        let people = said.and_then(|text| text.parse().ok()).unwrap_or(100);
        let two = Duration::from_secs(2);
        let often = Habit { pause: two, dials_every: 1 };
        if people >= 300 {
            let [usual, blocks, cut] = [60, 420, 60].map(Duration::from_secs);
            return Self { people, usual, blocks, cut, honest: often, informer: often };
        }
        // What becomes of what informers betray is to be seen soon.
        let informer = Habit { pause: Duration::from_millis(500), dials_every: 1 };
        let honest = Habit { pause: two, dials_every: 3 };
        let [usual, blocks, cut] = [20, 35, 5].map(Duration::from_secs);
        Self { people, usual, blocks, cut, honest, informer }
    }
}

/// A provider, and its people's homes.
struct Network {
    provider: Provider,
    homes: Vec<Host>,
}

impl Network {
    fn new(lab: &Lab, name: &str, telegram: &Telegram) -> Result<Self> {
        let provider = Provider::on(lab, name).start()?;
        for address in telegram.addresses() {
            provider.swallow(*address)?;
        }
        let table = provider.table();
        let first = table.split('\t').next().and_then(|first| first.parse::<Ipv4Addr>().ok());
        let [a, b, ..] = first.expect("the first address of a provider").octets();
        let home =
            |[c, d]: [u8; 2]| provider.host("home", &[&Ipv4Addr::new(a, b, c, d).to_string()]);
        let homes = HOMES.into_iter().map(home).collect::<Result<_>>()?;
        Ok(Self { provider, homes })
    }

    fn number(&self) -> String {
        format!("AS{}", self.provider.number())
    }

    /// Nothing leads to this endpoint from here, and no connection to it goes on.
    fn block(&self, at: SocketAddr) -> Result {
        self.provider.firewall(at.ip(), &[at.port()])
    }
}

/// A hub with its relays, each volunteer having typed one line.
fn fleet(lab: &Lab, office: &Host, networks: &[Network]) -> Result<(Hub, Vec<Relay>)> {
    let home = networks.iter().map(Network::number).collect::<Vec<_>>().join(",");
    let site = office.folder()?;
    std::fs::write(site.join("index.html"), "<h1>Apple orchards of Almaty</h1>")?;
    let site = site.to_str().expect("text").to_owned();
    let hub =
        Hub::start(office, &["--site", &site, "--local", &LOCAL.to_string(), "--home", &home])?;
    let table: String = networks.iter().map(|network| network.provider.table()).collect();
    let relays = SERVERS.map(|address| {
        let server = lab.host("server", &[address])?;
        let file = server.folder()?.join("networks.tsv");
        std::fs::write(&file, &table)?;
        let invite = hub.invite()?;
        let file = file.to_str().expect("text").to_owned();
        Ok::<_, Error>((server, invite, file))
    });
    let relays = thread::scope(|scope| {
        let start = |(server, invite, file): (Host, String, String)| {
            scope.spawn(move || {
                let arguments = ["--join", &invite, "--networks", &file];
                Relay::on(&server).ports("quiet").arguments(&arguments).start()
            })
        };
        let started: Vec<_> =
            relays.into_iter().map(|relay| relay.map(start)).collect::<Result<_>>()?;
        started.into_iter().map(|one| one.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    hub.until_reached(relays.len(), LIMIT)?;
    Ok((hub, relays))
}

/// Somebody with TDLib and a computer.
struct Reader {
    host: Host,
    network: String,
    person: Option<Person>,
}

impl Reader {
    /// Does something in their place.
    fn does<T: Send + 'static>(
        &mut self,
        what: impl AsyncFnOnce(&mut Person) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut person = self.person.take().expect("they are there");
        let (person, done) = self.host.run(async move || {
            let done = what(&mut person).await;
            Ok((person, done))
        })?;
        self.person = Some(person);
        done
    }

    /// Opens Telegram by one of the links that they have by then; says so when none works, since nobody
    /// else may be where they sit.
    fn opens_telegram(&mut self) -> Result {
        let end = Instant::now() + LIMIT;
        loop {
            let links = self.does(async |person| {
                person.refresh().await?;
                Ok(person.links.clone())
            })?;
            let pings = tdlib::ping(&self.host, links)?;
            if pings.iter().any(tdlib::Ping::is_ok) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::Unexpected(format!("TDLib finds no way: {pings:#?}")));
            }
            self.does(async |person| person.complain().await)?;
        }
    }

    /// Searches for a way with a bundle of theirs, and gives the hub what relays have signed; how
    /// many of those receipts say something new.
    fn searches(&mut self) -> Result<u64> {
        let bundle = self.does(async |person| {
            // Whoever was seated elsewhere just now may wait for it.
            timeout(LIMIT, person.ask()).await??;
            person.say("GET", "/v1/bundle", "").await
        })?;
        if bundle.status != 200 {
            return Err(Error::Unexpected(format!("no bundle: {bundle:?}")));
        }
        let folder = self.host.folder()?;
        std::fs::write(folder.join("bundle"), &bundle.body)?;
        let jaryq = |arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(program()?);
            command.args(arguments).current_dir(&folder).env("XDG_CONFIG_HOME", &folder);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let output = self.host.output(command)?;
            let said = [output.stdout, output.stderr].concat();
            Ok(String::from_utf8_lossy(&said).into_owned())
        };
        let trusted = jaryq(&["trust", "bundle", "--yes"])?;
        let enough = ["--brief", "--only", "tcp", "--enough", "1", "--minutes", "1"];
        let how = ["reach", "bundle", "--json", "--network", &self.network];
        let found = jaryq(&[&how[..], &enough].concat())?;
        let receipts = std::fs::read_to_string(folder.join("bundle.receipts"));
        let receipts = receipts.map_err(|error| {
            Error::Unexpected(format!("no receipts ({error}): {trusted}\n{found}"))
        })?;
        let brought = receipts.clone();
        let counted =
            self.does(async move |person| person.say("POST", "/v1/receipts", &brought).await)?;
        let said: Value = serde_json::from_str(&counted.body).unwrap_or_default();
        let bad = || Error::Unexpected(format!("{counted:?} for {receipts}"));
        said["counted"].as_u64().filter(|count| *count > 0).ok_or_else(bad)
    }
}

/// What the censor knows, and what it has done.
struct Censor<'a> {
    networks: &'a [Network],
    told: mpsc::Receiver<SocketAddr>,
    heard_of: BTreeSet<SocketAddr>,
    known: VecDeque<SocketAddr>,
    blocked: Vec<SocketAddr>,
}

impl Censor<'_> {
    /// For so long blocks endpoints that it knows, one after the other.
    fn block_one_by_one(&mut self, time: Duration, chart: &Chart) -> Result {
        let (mut next, end) = (Instant::now(), Instant::now() + time);
        while Instant::now() < end {
            let news = self.told.try_iter().filter(|at| self.heard_of.insert(*at));
            self.known.extend(news);
            if Instant::now() >= next
                && let Some(at) = self.known.pop_front()
            {
                self.networks.iter().try_for_each(|network| network.block(at))?;
                chart.event(format!("{at} is blocked"), MOVING);
                self.blocked.push(at);
                next = Instant::now() + BLOCKS;
            }
            sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn shut_all_but_five(&self) -> Result {
        let gate = Gate::shut().tcp(FIVE).udp([53]);
        self.networks.iter().try_for_each(|network| network.provider.set_gate(&gate))
    }
}

/// What the hub has noticed: which of these endpoints, and what else.
fn noticed(blocks: &Value, blocked: &[SocketAddr]) -> (usize, Vec<String>) {
    let blocks = blocks["blocks"].as_array().into_iter().flatten();
    let causes = blocks.filter_map(|block| block["cause"].as_str());
    let is_one =
        |cause: &&str| blocked.iter().any(|at| cause.starts_with(&format!("{at} is blocked")));
    let (right, wrong): (Vec<&str>, Vec<&str>) = causes.partition(is_one);
    (right.len(), wrong.into_iter().map(str::to_owned).collect())
}

/// What happens, from when all are online.
fn live_through(
    size: &Size,
    hub: &Hub,
    censor: &mut Censor<'_>,
    readers: &mut [Reader],
    chart: &Chart,
) -> Result {
    // What comes as a rule is learned.
    sleep(size.usual);
    readers.iter_mut().try_for_each(Reader::opens_telegram)?;

    censor.block_one_by_one(size.blocks, chart)?;
    let told = hub.until(&["blocks"], LIMIT, |told| noticed(told, &censor.blocked).0 > 0)?;
    let (right, wrong) = noticed(&told, &censor.blocked);
    let all = censor.blocked.len();
    eprintln!("{right} of {all} blocks were noticed, and what was none: {wrong:?}");
    eprintln!("{told:#}");
    let moved = told["blocks"].as_array().into_iter().flatten();
    let moved: u64 = moved.filter_map(|block| block["reseated"].as_u64()).sum();
    assert!(moved > 0, "nobody was seated elsewhere: {told}");
    readers.iter_mut().try_for_each(Reader::opens_telegram)?;

    censor.shut_all_but_five()?;
    chart.event("all ports but five are shut", LIMIT * 3);
    hub.verb(&["ports", "all"])?;
    hub.until(&["relays"], LIMIT, |told| {
        let mut relays = told["relays"].as_array().into_iter().flatten();
        relays.all(|relay| relay["ports"] == "all" && relay["is_at_ports"] == true)
    })?;
    thread::scope(|scope| {
        let searches: Vec<_> = readers
            .iter_mut()
            .map(|reader| {
                scope.spawn(|| {
                    let count = reader.searches()?;
                    chart.event(format!("{count} receipts of {}", reader.network), Duration::ZERO);
                    Ok::<_, Error>(())
                })
            })
            .collect();
        searches.into_iter().try_for_each(|one| one.join().expect("no panic"))
    })?;
    chart.settles(MOVING_IN_A_CUT);
    assert!(chart.wait(ENOUGH, LIMIT), "people find no way in the cut");
    sleep(MOVING_IN_A_CUT + size.cut);
    readers.iter_mut().try_for_each(Reader::opens_telegram)?;
    assert!(chart.wait(1.0, LIMIT), "some have no way, whoever they are");
    Ok(())
}

/// Where an address stands in a file, as text or in bytes of either order.
fn holds(bytes: &[u8], address: IpAddr) -> bool {
    let IpAddr::V4(v4) = address else { return false };
    let mut backwards = v4.octets();
    backwards.reverse();
    let forms = [v4.to_string().into_bytes(), v4.octets().to_vec(), backwards.to_vec()];
    forms.iter().any(|form| bytes.windows(form.len()).any(|some| some == form))
}

#[test]
fn nine_in_ten_stay_online_while_a_censor_does_what_it_can_and_no_disk_tells_where_anybody_is()
-> Result {
    country(|lab| {
        let size = Size::asked();
        let telegram = Telegram::on(lab)?;
        let networks =
            [Network::new(lab, "landline", &telegram)?, Network::new(lab, "mobile", &telegram)?];
        let office = lab.host("office", &["185.15.56.1"])?;
        let (hub, mut relays) = fleet(lab, &office, &networks)?;
        let token = hub.verb(&["door", "bot"])?;
        let door = Door::open(&office, token["token"].as_str().expect("a token"))?;
        let board = Board::new(size.people);
        let (informer, told) = mpsc::channel();
        let (heard_of, known, blocked) = Default::default();
        let mut censor = Censor { networks: &networks, told, heard_of, known, blocked };

        let somebody = |number: usize, network: &Network| {
            let informs = number % INFORMS == INFORMS / 2;
            let habit = if informs { size.informer } else { size.honest };
            let board = Arc::clone(&board);
            let person = Person::new(number, network.number(), door.clone(), habit, board);
            if informs { person.informing(informer.clone()) } else { person }
        };
        let (end, over) = watch::channel(false);
        let homes = networks.iter().flat_map(|network| &network.homes).count();
        let mut living = Vec::new();
        let of = networks
            .iter()
            .flat_map(|network| network.homes.iter().map(move |home| (network, home)));
        for (place, (network, home)) in of.enumerate() {
            let people = (place..size.people).step_by(homes);
            let people = people.map(|number| somebody(number, network)).collect();
            living.push(live_at(home, people, over.clone())?);
        }
        let mut readers = Vec::new();
        for (number, network) in (size.people..).zip(&networks) {
            let person = Person::new(
                number,
                network.number(),
                door.clone(),
                size.honest,
                Arc::clone(&board),
            );
            let host = network.homes[0].clone();
            let mut reader = Reader { host, network: network.number(), person: Some(person) };
            reader.does(async |person| person.ask().await)?;
            readers.push(reader);
        }

        let chart = Chart::new(Arc::clone(&board));
        assert!(chart.wait(0.95, LIMIT), "people come online: {}", board.share());
        let done = thread::scope(|scope| {
            chart.begin(scope);
            let _over = chart.over();
            live_through(&size, &hub, &mut censor, &mut readers, &chart)
        });
        let (text, least) = chart.summary();
        eprintln!("{text}at least {:.1} % while nobody was being seated elsewhere", least * 100.0);
        let (dials, refused) = board.counts();
        eprintln!("{dials} connections were tried; the hub refused {refused} times");
        done?;
        assert!(least > ENOUGH, "{least}");
        let people = hub.verb(&["people"])?;
        let all = size.people + readers.len();
        assert_eq!((&people["seated"], &people["waiting"]), (&all.into(), &0.into()), "{people}");

        end.send_replace(true);
        living.into_iter().try_for_each(lab::Task::join)?;
        let mut states = vec![hub.state().to_owned()];
        hub.stop(LIMIT)?;
        for relay in &mut relays {
            relay.signal(Signal::SIGTERM)?;
            assert!(relay.ended(LIMIT)?.success());
            states.push(relay.state().to_owned());
        }
        let homes: Vec<IpAddr> =
            networks.iter().flat_map(|network| &network.homes).map(Host::v4).collect();
        let (mut count, mut size) = (0, 0);
        for state in states {
            // The hub's socket holds nothing.
            for name in files(&state)?.into_iter().filter(|path| path.is_file()) {
                let bytes = std::fs::read(&name)?;
                (count, size) = (count + 1, size + bytes.len());
                let told = homes.iter().find(|home| holds(&bytes, **home));
                assert!(told.is_none(), "{told:?} is in {}", name.display());
            }
        }
        eprintln!("no address is in {count} files of seven machines, {} KiB", size >> 10);
        assert!(count >= 7, "they were looked at");
        Ok(())
    })
}
