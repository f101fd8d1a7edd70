//! For people, or for programs with `--json`.

use std::io::{self, IsTerminal, Write};

use fast_qr::{ECL, QRBuilder};
use serde_json::{Value, json};
use store::Key;

use crate::face::{Link, Links};

/// Where answers go: standard output, as text or as one JSON object a line.
pub(crate) struct Printer {
    json: bool,
    terminal: bool,
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

    /// Prints a line of text. Nobody reading is no reason to stop.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stdout(), "{}", text.as_ref());
    }

    /// Prints one JSON object.
    pub(crate) fn object(&self, object: &Value) {
        self.line(object.to_string());
    }

    pub(crate) fn error(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        if self.json {
            self.object(&json!({ "event": "error", "error": text }));
        }
        let _ = writeln!(io::stderr(), "jaryq: {text}");
    }

    /// A key's links, the best form first, and a QR code of it if that is wanted.
    pub(crate) fn links(&self, links: &Links, qr: bool) {
        let mut forms = [("dd", &links.dd), ("ee", &links.ee), ("plain", &links.plain)];
        forms.sort_by_key(|(name, _)| *name != links.best);
        for (name, Link { tg, https }) in forms {
            let remark = match (name, links.ee_is) {
                (name, _) if name == links.best => "  best: send this one",
                ("ee", Some(remark)) => remark,
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

    fn qr(&self, text: &str) {
        match QRBuilder::new(text).ecl(ECL::L).build() {
            Ok(code) => self.line(code.to_str()),
            Err(error) => self.line(format!("  (no QR code: {error})")),
        }
    }
}

/// A key as programs see it.
pub(crate) fn key_object(key: &Key, links: Option<&Links>) -> Value {
    json!({
        "id": key.id.to_string(),
        "label": key.label.to_string(),
        "for": key.form.name(),
        "created": key.created,
        "revoked": key.revoked,
        "links": links,
    })
}

/// How a key is named in a sentence: the part of its id that suffices, and its label.
pub(crate) fn key_name(key: &Key) -> String {
    let id = key.id.to_string();
    match key.label.to_string().as_str() {
        "" => id[..8].to_owned(),
        label => format!("{} ({label})", &id[..8]),
    }
}
