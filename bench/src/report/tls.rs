//! What it costs where people speak TLS, beside everything that takes TLS off.

use std::fmt::{self, Display, Formatter};

use super::Report;
use super::table::{self, Against, Goal, Limit};
use crate::figures::{Metric, Of};
use crate::load::{CLIENTS, DELAY, RATE, WEB_CLIENTS};
use crate::rounds::{Comparison, FEW_ROUNDS};
use crate::subject::{FLOOR as NAME, OURS};
use crate::tls::Tls;
use crate::visit::{ALONE, Amounts, FAR_DOWN, FAR_UP, FIRST_BYTES, STREAMS};
use crate::way::Way;

/// What every proxy's CPU is compared with.
const FLOOR: Of = (Way::TlsForward, NAME);
const AGAINST: Against =
    Against { floor: FLOOR, metrics: &[Metric::DownCpu, Metric::UpCpu, Metric::HandshakeCpu] };

/// The tables, and their columns.
const TABLES: [(&str, &[Metric]); 4] = [
    ("Carrying", &[Metric::DownCpu, Metric::DownRate, Metric::UpCpu, Metric::UpRate]),
    (
        "Connecting",
        &[Metric::HandshakeCpu, Metric::HandshakeRate, Metric::FirstByte, Metric::Start],
    ),
    ("Memory", &[Metric::Base, Metric::Idle]),
    ("Over a long way", &[Metric::FarDown, Metric::FarUp]),
];

impl Display for Report<'_, Tls> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { options, subjects, load, .. } = self;
        super::head(f, "What TLS costs, side by side", Tls::NAME, load)?;
        super::subjects(f, subjects, &self.missing)?;
        if !subjects.iter().any(|subject| subject.ways().any(|way| way == Way::Web)) {
            writeln!(f, "- {OURS} names no {} proxy; that is left out.", Way::Web.name())?;
        }
        writeln!(
            f,
            "\nMedians of {} rounds (rivals but {NAME}: of {}; memory and the long way: of {}); in \
             brackets, where the true median lies with a certainty of 95 %, or all samples where \
             they are fewer than six. ↑: more is better; elsewhere, less is. **×** is how many \
             times {NAME}, compared round by round.",
            options.rounds(),
            options.rival_rounds(),
            options.rounds().min(FEW_ROUNDS)
        )?;
        table::goals(f, &self.all_goals())?;
        for (title, metrics) in TABLES {
            self.table(f, title, metrics, &AGAINST)?;
        }
        write!(f, "{}", method(options.amounts()))?;
        super::settings(f, subjects)?;
        super::failures(f, &self.failures)
    }
}

impl Report<'_, Tls> {
    fn all_goals(&self) -> Vec<Goal> {
        let ours = |way, metric| self.figures.summary((way, OURS), metric);
        let to_floor = |metric| self.figures.ratio((Way::TlsConnect, OURS), FLOOR, metric);
        let far = |way, metric| {
            let ratio = self.figures.ratio((way, OURS), (Way::Straight, ALONE), metric);
            ratio.map(|ratio| ratio.times(100.0))
        };
        let of = |what: &str, way: Way| format!("{what}, {}", way.name());
        let [h1, h2] = [Way::TlsConnect, Way::Http2];
        // CPU a handshake, the other way round: handshakes for the same CPU.
        let shaken = self.figures.ratio(FLOOR, (h1, OURS), Metric::HandshakeCpu);
        let shaken_of = format!("handshakes per CPU second, against {NAME}'s");
        let [down_far, up_far] = ["download", "upload"]
            .map(|what| format!("{what} over a long way, of what there is without a proxy"));
        [
            ("memory per idle tunnel", h1, Limit::AtMost(15.0), " KiB", ours(h1, Metric::Idle)),
            ("download: CPU", h1, Limit::AtMost(1.0), "×", to_floor(Metric::DownCpu)),
            ("upload: CPU", h1, Limit::AtMost(1.0), "×", to_floor(Metric::UpCpu)),
            (&shaken_of, h1, Limit::AtLeast(1.0), "×", shaken),
            (&down_far, h2, Limit::AtLeast(90.0), " %", far(h2, Metric::FarDown)),
            (&up_far, h2, Limit::AtLeast(90.0), " %", far(h2, Metric::FarUp)),
            (
                "download: CPU s/GiB",
                Way::Web,
                Limit::AtMost(1.2),
                " s",
                ours(Way::Web, Metric::DownCpu),
            ),
        ]
        .map(|(what, way, limit, unit, reached)| Goal {
            measure: of(what, way),
            limit,
            unit,
            reached,
        })
        .into()
    }
}

fn method(Amounts { mib, idle, handshakes, .. }: Amounts) -> String {
    let (round_trip, rate) = (2 * DELAY.as_millis(), RATE * 8.0 / 1e6);
    format!(
        "
## How

- User, server and Telegram are network namespaces with a router between them; the proxy runs alone \
on the server. All end at the same datacentre of the load tool; `{ALONE}` is the user that goes there \
without any.
- What they do: ours takes CONNECT inside TLS with a log-in, by HTTP/1.1 and by HTTP/2, and Telegram's \
WEB proxy by a WebSocket. {NAME} takes the TLS off and forwards to the datacentre, whatever is inside; \
it knows no CONNECT and asks for no log-in, so it is the floor of what TLS and TCP cost. squid takes \
CONNECT inside TLS from anybody. nghttpx does so by HTTP/1.1 and HTTP/2, with squid in the clear behind \
it, as its manual has it; what is measured is both together.
- All show the same certificate, for ECDSA on P-256, under an authority of the bench. The user is the \
same for all too: TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, a full handshake each time, nothing \
resumed. Chromium's first offer today, X25519MLKEM768, is not measured: OpenSSL 3.0 does not have it.
- In every round every way of every proxy that takes part has its turn, and in the next round in the \
other order. Each is started afresh for its speed, for the long way and for its memory.
- CPU is user and system time of the proxy's processes, by the kernel's clock for them. The kernel \
bills the work of receiving to whoever is running, so a part of a proxy's is billed to the user and \
the datacentre, and of theirs to the proxy: alike for all.
- Download, upload: {STREAMS} connections at once, {mib} MiB together, in pieces of 256 KiB. The first \
MiB of each is checked by the other side, the rest is counted. By HTTP/2, each tunnel has a connection \
of its own.
- Handshake: connect, TLS, log in, one ping through to the datacentre and back, close; {handshakes} \
times, by {CLIENTS} clients ({WEB_CLIENTS} with WEB), after 100 that are not counted.
- First byte: from the call that connects until the answer to the first ping is read, one connection \
at a time, in turns with connections that go straight to the datacentre without TLS; the difference \
of the medians of {FIRST_BYTES} each.
- Memory: PSS of the proxy's processes from `smaps_rollup`. At rest: 2 s after the first ping. Per \
idle connection: what {idle} connections add, each pinged once, 2 s after the last. The kernel's \
memory for sockets is not in it; it is the same for all. A key may have no more than a few sessions of \
WEB at a time, so those are not in the table.
- A long way: between user and proxy, and between user and datacentre where there is none, a forwarder \
of the bench holds every byte for half of {round_trip} ms and lets {rate} Mbit/s through, each way. One \
connection, {FAR_DOWN} MiB down and {FAR_UP} MiB up, from the request on. The forwarder takes TCP's \
segments at once, so what is seen is what HTTP's own windows allow, and not TCP's. The HTTP/2 user's \
are Chromium's: 6 MiB a stream, 15 MiB a connection.

## Limits

- One user, one address, a local network without loss; a shared machine. Ratios are worth more than \
figures.
"
    )
}
