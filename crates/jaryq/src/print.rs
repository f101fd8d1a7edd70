//! For people, or for programs with `--json`.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use fast_qr::qr::QRCodeError;
use fast_qr::{ECL, QRBuilder};
use serde::Serialize;
use serde_json::{Value, json};
use store::Key;

use crate::face::{Link, Links, TelegramLinks};
use crate::key::{PageLink, day};
use crate::rooms::{ClearLinks, OwnLinks, WebLinks};

/// What is said of a key for the web that opens nothing here.
const NOTHING: &str = "This key is for a relay with a website of its own, and this one has none now (jaryq up --domain).";

/// Where answers go: standard output, as text or as one JSON object a line.
pub(crate) struct Printer {
    json: bool,
    terminal: bool,
}

/// JSON objects that are printed together, where there are thousands in a moment.
#[derive(Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    /// Adds one, which is anything that JSON can hold.
    pub(crate) fn add(&mut self, object: &impl Serialize) {
        let length = self.0.len();
        match serde_json::to_writer(&mut self.0, object) {
            Ok(()) => self.0.push(b'\n'),
            Err(_) => self.0.truncate(length),
        }
    }

    /// Whether it is time to print them.
    pub(crate) fn is_much(&self) -> bool {
        self.0.len() >= 64 << 10
    }
}

impl Printer {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: io::stdout().is_terminal() }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Links are secrets: they go to somebody's eyes or to a program that asked for them, and not
    /// into the log that standard output may well be.
    pub(crate) fn may_show_links(&self) -> bool {
        self.json || self.terminal
    }

    /// Colours are for a terminal, unless its owner wants none (https://no-color.org).
    pub(crate) fn may_color(&self) -> bool {
        self.terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Prints a line of text. Nobody reading is no reason to stop.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stdout(), "{}", text.as_ref());
    }

    /// Prints one JSON object.
    pub(crate) fn object(&self, object: &Value) {
        self.line(object.to_string());
    }

    /// Prints what was gathered, by one call of the system.
    pub(crate) fn lines(&self, lines: &mut Lines) {
        let _ = io::stdout().write_all(&lines.0);
        lines.0.clear();
    }

    /// Something that went wrong without being an error of the command.
    pub(crate) fn warning(&self, kind: &str, text: &str) {
        if self.json {
            self.object(&json!({ "event": "notice", "kind": kind, "text": text }));
        } else {
            let _ = writeln!(io::stderr(), "jaryq: {text}");
        }
    }

    pub(crate) fn error(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        let text = text.trim().trim_start_matches("error: ");
        if self.json {
            self.object(&json!({ "event": "error", "error": text }));
        }
        let _ = writeln!(io::stderr(), "jaryq: {text}");
    }

    /// A key's links, and a QR code of the best if that is wanted.
    pub(crate) fn links(&self, links: &Links, qr: bool) {
        match links {
            Links::Telegram(links) => self.telegram(links, qr),
            Links::Web(links) => self.web(links, qr),
        }
    }

    /// The one link to send.
    pub(crate) fn best_link(&self, links: &Links) {
        self.line(match links {
            Links::Telegram(links) => &links.best().https,
            Links::Web(links) => match (&links.own, &links.clear) {
                (Some(own), _) => &own.https_proxy,
                (None, Some(clear)) => &clear.telegram.https,
                (None, None) => NOTHING,
            },
        });
    }

    /// The page of somebody's own.
    pub(crate) fn page(&self, page: &PageLink, id: &str) {
        let PageLink { url, is_left, is_best, is_awaited } = page;
        self.line(match (is_best, is_left) {
            (true, _) if *is_awaited => {
                "  page   send this one when its certificate has come, which the relay says (browsers \
                 warn of it until then): it shows how to set up their apps, five times"
            }
            (true, _) => "  page   send this one: it shows how to set up their apps, five times",
            (_, true) => "  page   how to set up their apps, five times; browsers will warn of it",
            _ => "  page   was used up",
        });
        if *is_left {
            self.line(format!("    {url}"));
        } else {
            self.line(format!("    a new one: jaryq key page {id}"));
        }
    }

    fn web(&self, links: &WebLinks, qr: bool) {
        match (&links.own, &links.clear) {
            (None, None) => self.line(format!("  {NOTHING}")),
            (Some(own), None) => self.own(own, qr),
            (None, Some(clear)) => self.clear(clear, qr),
            (Some(own), Some(clear)) => {
                self.own(own, qr);
                self.clear(clear, false);
            }
        }
    }

    fn own(&self, links: &OwnLinks, qr: bool) {
        let OwnLinks { https_proxy, pac, log_in, dns, user, password, telegram, .. } = links;
        self.line(format!("\n  HTTPS, for browsers and programs\n    {https_proxy}"));
        self.line(format!("  PAC, for browsers and systems\n    {pac}"));
        self.line(format!("    log in at {log_in}, user {user}, password {password}"));
        self.line(format!("  secure DNS, for browsers\n    {dns}"));
        if let Some(warning) = links.certificate_warning {
            self.line(format!("\nWarning: {warning}"));
        }
        self.line("\nIn Telegram:\n");
        self.telegram(telegram, qr);
    }

    fn clear(&self, links: &ClearLinks, qr: bool) {
        let ClearLinks { telegram: Link { tg, https }, socks5, http, warning } = links;
        self.line(format!("\n  SOCKS5, for any app\n    {socks5}"));
        self.line(format!("  HTTP, for browsers and systems\n    {http}"));
        self.line(format!("  in Telegram\n    {tg}\n    {https}"));
        self.line(format!("\nWarning: {warning}"));
        if qr {
            self.line("");
            self.qr(tg);
        }
    }

    /// The best form first.
    fn telegram(&self, links: &TelegramLinks, qr: bool) {
        let mut usual = [("dd", &links.dd), ("ee", &links.ee), ("plain", &links.plain)];
        usual.sort_by_key(|(name, _)| *name != links.best);
        let mut forms = usual.to_vec();
        forms.extend(links.web.as_ref().map(|web| ("web", web)));
        for (name, Link { tg, https }) in forms {
            let remark = match (name, links.ee_is) {
                (name, _) if name == links.best => "  best: send this one",
                ("ee", Some(remark)) => remark,
                ("web", _) => "  for new apps: ordinary HTTPS",
                _ => "",
            };
            self.line(format!("  {name:<6}{}", remark.trim_start()).trim_end());
            self.line(format!("    {tg}"));
            self.line(format!("    {https}"));
        }
        if qr {
            self.line("");
            self.qr(&links.best().tg);
        }
    }

    /// A QR code for a camera.
    pub(crate) fn qr(&self, text: &str) {
        match qr_text(text) {
            Ok(code) => self.line(code),
            Err(error) => self.line(format!("  (no QR code: {error})")),
        }
    }
}

/// A QR code in half blocks, light on dark as most terminals are; phones read both.
fn qr_text(text: &str) -> Result<String, QRCodeError> {
    Ok(QRBuilder::new(text).ecl(ECL::L).build()?.to_str())
}

/// How many capitals a QR code may have here: that is version 15, 77 modules wide, the last one that
/// fits a terminal of 80 columns; phones read it from a screen, or from 5 cm of paper.
pub(crate) const QR_LETTERS: usize = 758;

/// A QR code as a picture.
pub(crate) fn qr_svg(text: &str) -> anyhow::Result<String> {
    front::pages::qr::draw(text, ECL::L).context("this is too long for a QR code")
}

/// A key as programs see it.
pub(crate) fn key_object(key: &Key, links: Option<&Links>) -> Value {
    json!({
        "id": key.id.to_string(),
        "label": key.label.to_string(),
        "for": key.form.name(),
        "cleartext": key.cleartext,
        "created": key.created,
        "revoked": key.revoked,
        "ends": key.ends.map(|last| day(last.start())),
        "links": links,
    })
}

/// What became of a key that is not valid any more.
pub(crate) fn how_it_ended(key: &Key) -> &'static str {
    if key.has_ended() { "ended with its bundle" } else { "was revoked" }
}

/// How a key is named in a sentence: the part of its id that suffices, and its label.
pub(crate) fn key_name(key: &Key) -> String {
    let id = key.id.to_string();
    match key.label.to_string().as_str() {
        "" => id[..8].to_owned(),
        label => format!("{} ({label})", &id[..8]),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use wire::bundle::{Bundle, Endpoint, Ports, Sealed};
    use wire::derive::Secret;
    use wire::echo::{BundleId, EchoKey, MaskKey};
    use wire::signer::Signer;
    use wire::tally::Day;

    use super::*;

    /// What a camera reads from a terminal, and how many columns that needs.
    fn camera(text: &str) -> (String, usize) {
        let rows: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        // Two dots high and one wide for each character, four pixels a dot.
        let lit = |x: usize, y: usize| {
            let (column, row, upper) = (x / 4, y / 8, (y / 4).is_multiple_of(2));
            match rows[row].get(column) {
                Some('█') => true,
                Some('▀') => upper,
                Some('▄') => !upper,
                _ => false,
            }
        };
        let (width, height) = (rows[0].len() * 4, rows.len() * 8);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            if lit(x, y) { 255 } else { 0 }
        });
        let codes = image.detect_grids();
        assert_eq!(codes.len(), 1);
        (codes[0].decode().expect("readable").1, rows[0].len())
    }

    #[test]
    fn a_camera_reads_the_link_from_what_the_terminal_shows() {
        let link = format!("tg://proxy?server=203.0.113.5&port=443&secret=ee{}", "0f".repeat(40));
        assert_eq!(camera(&qr_text(&link).expect("it fits")).0, link);
    }

    #[test]
    fn a_bundle_of_two_relays_with_everything_fits_a_terminal_and_a_camera_reads_it() {
        let list = (1..=16).map(|port| NonZeroU16::new(60_000 + port).expect("a port")).collect();
        let endpoint = |number: u8| Endpoint {
            v4: Some([91, 198, 174, number].into()),
            v6: Some([0x2a00, 0x1450, 0, 0, 0, 0, 0, number.into()].into()),
            ports: Ports::List(Vec::clone(&list)),
            datagrams: wire::bundle::Datagrams::Low,
            echo_key: EchoKey([number; 16]),
            mask_key: MaskKey([number; 8]),
            secret: Some(Secret([number; 16])),
        };
        let endpoints = vec![endpoint(1), endpoint(2)];
        let (id, made, expires) = (BundleId([7; 16]), Day(20_000), Day(20_030));
        let bundle = Bundle { id, made, expires, endpoints, cracks: Vec::new() };
        let sealed = bundle.seal(&Signer::from_seed(&[1; 32])).expect("it fits");
        let capitals = sealed.capitals();
        assert!(capitals.len() <= QR_LETTERS);
        let (read, columns) = camera(&qr_text(&capitals).expect("it fits"));
        assert_eq!(Sealed::read(&read), Ok(sealed));
        assert!(columns <= 80, "{columns} columns");
        // As many as may be: version 15, and no other.
        let most = qr_text(&"A".repeat(QR_LETTERS)).expect("it fits");
        let more = qr_text(&"A".repeat(QR_LETTERS + 1)).expect("it fits");
        let columns = |text: &str| text.lines().next().map_or(0, |line| line.chars().count());
        assert_eq!((columns(&most), columns(&more)), (79, 83));
    }
}
